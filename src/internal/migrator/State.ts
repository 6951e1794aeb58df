/**
 * Compares the migrations that were found with the history: what state each is in, what is to run, what is wrong. Pure.
 */
import type { Migration } from "./Migration.js"
import type { Problem } from "./MigrationError.js"
import { compareVersions, versionKey } from "./Name.js"

/**
 * A row of the history table.
 *
 * @since 0.1.0
 * @category models
 */
export interface Row {
  readonly installedRank: number
  readonly version: string | undefined
  readonly description: string
  /** `SQL`, `EFFECT`, `BASELINE`, `UNDO_SQL`, `UNDO_EFFECT`, and those of Flyway. */
  readonly type: string
  readonly script: string
  readonly checksum: number | undefined
  readonly installedBy: string
  /** As the database writes it. */
  readonly installedOn: string
  /** In milliseconds. */
  readonly executionTime: number
  readonly success: boolean
}

/**
 * - `pending`: to be run.
 * - `success`: applied.
 * - `failed`: stopped in the middle where the database could not undo it; `repair` removes its row.
 * - `missing`: applied, but its file is not there.
 * - `future`: applied by a newer release: above every version that was found. Not an error.
 * - `outdated`: repeatable, and changed since it was applied: to be run again.
 * - `changed`: versioned, and edited since it was applied.
 * - `out of order`: applied after a higher version.
 * - `ignored`: below the current version and never applied; an error unless `outOfOrder` makes it pending.
 * - `above target`: not wanted yet.
 * - `baseline`: the row that says where the history begins.
 * - `below baseline`: taken as applied before the history began.
 *
 * @since 0.1.0
 * @category models
 */
export type StateName =
  | "pending"
  | "success"
  | "failed"
  | "missing"
  | "future"
  | "outdated"
  | "changed"
  | "out of order"
  | "ignored"
  | "above target"
  | "baseline"
  | "below baseline"

/**
 * One line of a status: a migration, its row, or both.
 *
 * @since 0.1.0
 * @category models
 */
export interface Info {
  readonly state: StateName
  readonly kind: "versioned" | "repeatable"
  readonly version: string | undefined
  readonly description: string
  readonly script: string
  readonly type: string
  readonly installedOn: string | undefined
  readonly installedBy: string | undefined
  /** In milliseconds. */
  readonly executionTime: number | undefined
  /** Whether there is an undo migration for it. */
  readonly undoable: boolean
}

/**
 * The whole comparison.
 *
 * @since 0.1.0
 * @category models
 */
export interface State {
  /** The highest version applied. */
  readonly current: string | undefined
  /** Versioned ones in the order of versions, then repeatable ones by name. */
  readonly migrations: ReadonlyArray<Info>
  /** What `run` would run, in this order. */
  readonly pending: ReadonlyArray<Migration>
  /** Why `run` would refuse. */
  readonly problems: ReadonlyArray<Problem>
  /** Rows that `repair` would change or remove. */
  readonly repairs: ReadonlyArray<Repair>
  /** Applied versions that are not undone, latest first. */
  readonly applied: ReadonlyArray<Row>
}

/**
 * One change that `repair` makes to the history table.
 *
 * @since 0.1.0
 * @category models
 */
export type Repair =
  | { readonly _tag: "RemoveFailed"; readonly row: Row }
  | { readonly _tag: "Align"; readonly row: Row; readonly checksum: number | undefined; readonly description: string }

/** How the comparison is made. */
export interface CompareOptions {
  readonly target: string | undefined
  readonly outOfOrder: boolean
}

/** How far a failed migration came is written behind its description. */
const progressMark = " ["

/** The description of the row of a migration that runs without a transaction, for as long as it has not ended. */
export const describeProgress = (description: string, progress: string): string => {
  const suffix = `${progressMark}${progress}]`
  return description.slice(0, 200 - suffix.length) + suffix
}

const byRank = (a: Row, b: Row) => a.installedRank - b.installedRank

/** Written by `baseline`, or by one of Flyway's baseline migrations (`SQL_BASELINE`), which stand for all before them. */
const isBaseline = (row: Row) => row.type === "BASELINE" || row.type.endsWith("_BASELINE")
const isUndo = (row: Row) => row.type.startsWith("UNDO")
const isDeleted = (row: Row) => row.type === "DELETE"

/** The last word of the history on each version and each repeatable description. */
const fold = (rows: ReadonlyArray<Row>) => {
  const versions = new Map<string, Row>()
  const repeatables = new Map<string, Row>()
  let baseline: Row | undefined
  for (const row of [...rows].sort(byRank)) {
    if (row.type === "SCHEMA") {
      continue
    }
    if (isBaseline(row) && row.success && row.version !== undefined) {
      baseline = row
    } else if (row.version === undefined) {
      if (isDeleted(row)) {
        repeatables.delete(repeatableKey(row.description))
      } else {
        repeatables.set(repeatableKey(row.description), row)
      }
    } else if (isDeleted(row) || (isUndo(row) && row.success)) {
      versions.delete(versionKey(row.version))
    } else {
      versions.set(versionKey(row.version), row)
    }
  }
  return { versions, repeatables, baseline }
}

/** A failed row's description carries its progress. */
const repeatableKey = (description: string): string => {
  const at = description.indexOf(progressMark)
  return at > 0 && description.endsWith("]") ? description.slice(0, at) : description
}

/** Two migrations that cannot both be meant. */
export const duplicates = (migrations: ReadonlyArray<Migration>): ReadonlyArray<Problem> => {
  const seen = new Map<string, Migration>()
  const problems: Array<Problem> = []
  for (const migration of migrations) {
    const key = migration.version === undefined
      ? `repeatable ${migration.description}`
      : `${migration.kind} ${versionKey(migration.version)}`
    const other = seen.get(key)
    if (other === undefined) {
      seen.set(key, migration)
    } else {
      const [first, second] = [other.script, migration.script].sort()
      problems.push({
        reason: "DuplicateVersion",
        script: second!,
        ...(migration.version === undefined ? {} : { version: migration.version }),
        message: migration.version === undefined
          ? `has the same description as ${first}`
          : `has the same version ${migration.version} as ${first}`
      })
    }
  }
  return problems
}

const typeOf = (migration: Migration) => migration.body._tag === "Sql" ? "SQL" : "EFFECT"

const entry = (
  state: StateName,
  migration: Migration | undefined,
  row: Row | undefined,
  isUndoable: boolean
): Info => ({
  state,
  kind: (migration?.version ?? row?.version) === undefined ? "repeatable" : "versioned",
  version: migration?.version ?? row?.version,
  description: row !== undefined && state === "failed" ? row.description : migration?.description ?? row!.description,
  script: migration?.script ?? row!.script,
  type: row?.type ?? typeOf(migration!),
  installedOn: row?.installedOn,
  installedBy: row?.installedBy,
  executionTime: row?.executionTime,
  undoable: isUndoable
})

const problem = (reason: Problem["reason"], script: string, version: string | undefined, message: string): Problem => ({
  reason,
  script,
  message,
  ...(version === undefined ? {} : { version })
})

const failedProblem = (row: Row): Problem =>
  problem(
    "Failed",
    row.script,
    row.version,
    `failed on ${row.installedOn} and left its changes behind: ${row.description}. ` +
      "Put the database right by hand, then run repair, which removes the failed row"
  )

/** What is different from what was applied, or `undefined`. */
const difference = (migration: Migration, row: Row): string | undefined => {
  if (migration.checksum !== undefined && row.checksum !== undefined && migration.checksum !== row.checksum) {
    return `was edited after it had been applied: its checksum is ${migration.checksum}, the history has ${row.checksum}`
  }
  if (row.description.trim() !== "" && migration.description !== row.description.trim()) {
    return `was renamed after it had been applied: it is called "${migration.description}", the history has "${row.description}"`
  }
  return undefined
}

/** What a comparison finds, step by step. */
class Findings {
  readonly versioned: Array<Info> = []
  readonly repeatable: Array<Info> = []
  readonly pending: Array<Migration> = []
  readonly problems: Array<Problem>
  readonly repairs: Array<Repair> = []

  constructor(problems: ReadonlyArray<Problem>) {
    this.problems = [...problems]
  }

  /** A row that failed, with its migration where that is there. */
  failed(migration: Migration | undefined, row: Row, isUndoable: boolean): void {
    this.add(entry("failed", migration, row, isUndoable))
    this.problems.push(failedProblem(row))
    this.repairs.push({ _tag: "RemoveFailed", row })
  }

  add(info: Info): void {
    if (info.kind === "versioned") {
      this.versioned.push(info)
    } else {
      this.repeatable.push(info)
    }
  }
}

/** What the versions of a history are compared by. */
interface Versions {
  readonly baseline: Row | undefined
  readonly current: string | undefined
  readonly undos: ReadonlySet<string>
  readonly outOfOrder: ReadonlySet<string>
}

/** A versioned migration that was run. */
const compareApplied = (migration: Migration, row: Row, versions: Versions, findings: Findings): void => {
  const key = versionKey(migration.version!)
  const isUndoable = versions.undos.has(key)
  if (!row.success) {
    return findings.failed(migration, row, isUndoable)
  }
  const different = difference(migration, row)
  if (different === undefined) {
    return findings.add(entry(versions.outOfOrder.has(key) ? "out of order" : "success", migration, row, isUndoable))
  }
  findings.add(entry("changed", migration, row, isUndoable))
  findings.problems.push(problem("Checksum", migration.script, migration.version, different))
  findings.repairs.push({ _tag: "Align", row, checksum: migration.checksum, description: migration.description })
}

/** A versioned migration that the history does not have. */
const compareNew = (
  migration: Migration,
  { baseline, current, undos }: Versions,
  options: CompareOptions,
  findings: Findings
): void => {
  const version = migration.version!
  const add = (state: StateName) => findings.add(entry(state, migration, undefined, undos.has(versionKey(version))))
  if (baseline !== undefined && compareVersions(version, baseline.version!) <= 0) {
    add("below baseline")
  } else if (options.target !== undefined && compareVersions(version, options.target) > 0) {
    add("above target")
  } else if (current !== undefined && compareVersions(version, current) < 0 && !options.outOfOrder) {
    add("ignored")
    findings.problems.push(problem(
      "OutOfOrder",
      migration.script,
      version,
      `has version ${version}, which is below the current version ${current}, and was never applied`
    ))
  } else {
    add("pending")
    findings.pending.push(migration)
  }
}

/** A row of the history whose migration is not there; `highest` is the highest version that is. */
const compareLeft = (row: Row, { baseline }: Versions, highest: string | undefined, findings: Findings): void => {
  if (!row.success) {
    findings.failed(undefined, row, false)
  } else if (highest === undefined || compareVersions(row.version!, highest) > 0) {
    findings.add(entry("future", undefined, row, false))
  } else if (baseline === undefined || compareVersions(row.version!, baseline.version!) > 0) {
    findings.add(entry("missing", undefined, row, false))
    findings.problems.push(problem(
      "Missing",
      row.script,
      row.version,
      `was applied on ${row.installedOn}, but there is no such migration here`
    ))
  }
}

const compareRepeatable = (
  migration: Migration,
  row: Row | undefined,
  isBelowTarget: boolean,
  findings: Findings
): void => {
  const add = (state: StateName) => findings.add(entry(state, migration, row, false))
  if (row !== undefined && !row.success) {
    findings.failed(migration, row, false)
  } else if (row !== undefined && row.checksum === migration.checksum) {
    add("success")
  } else if (!isBelowTarget) {
    // It is written for the newest schema, which is not wanted yet.
    add("above target")
  } else {
    add(row === undefined ? "pending" : "outdated")
    findings.pending.push(migration)
  }
}

/** A row of a repeatable migration that is not there: no problem, unless it failed. */
const compareLeftRepeatable = (row: Row, findings: Findings): void =>
  row.success ? findings.add(entry("missing", undefined, row, false)) : findings.failed(undefined, row, false)

/** Compares. */
export const compare = (
  migrations: ReadonlyArray<Migration>,
  rows: ReadonlyArray<Row>,
  options: CompareOptions
): State => {
  const history = fold(rows)
  const { baseline } = history
  const versioned = migrations.filter((m) => m.kind === "versioned")
    .sort((a, b) => compareVersions(a.version!, b.version!))
  const repeatable = migrations.filter((m) => m.kind === "repeatable")
    .sort((a, b) => a.description < b.description ? -1 : 1)
  const applied = [...history.versions.values()].filter((row) => row.success && !isUndo(row))
  const current = [...applied, ...(baseline === undefined ? [] : [baseline])]
    .map((row) => row.version!)
    .reduce<string | undefined>((high, v) => high === undefined || compareVersions(v, high) > 0 ? v : high, undefined)
  const versions: Versions = {
    baseline,
    current,
    undos: new Set(migrations.filter((m) => m.kind === "undo").map((m) => versionKey(m.version!))),
    outOfOrder: outOfOrderVersions(applied)
  }
  const findings = new Findings(duplicates(migrations))
  for (const migration of versioned) {
    const key = versionKey(migration.version!)
    const row = history.versions.get(key)
    history.versions.delete(key)
    if (row === undefined) {
      compareNew(migration, versions, options, findings)
    } else {
      compareApplied(migration, row, versions, findings)
    }
  }
  for (const row of history.versions.values()) {
    compareLeft(row, versions, versioned[versioned.length - 1]?.version, findings)
  }
  if (baseline !== undefined) {
    findings.add(entry("baseline", undefined, baseline, false))
  }
  const isBelowTarget = findings.versioned.every(({ state }) => state !== "above target")
  for (const migration of repeatable) {
    const row = history.repeatables.get(migration.description)
    history.repeatables.delete(migration.description)
    compareRepeatable(migration, row, isBelowTarget, findings)
  }
  for (const row of history.repeatables.values()) {
    compareLeftRepeatable(row, findings)
  }
  return {
    current,
    migrations: [...findings.versioned.sort((a, b) => compareVersions(a.version!, b.version!)), ...findings.repeatable],
    pending: findings.pending,
    problems: findings.problems,
    repairs: findings.repairs,
    applied: applied.sort((a, b) => byRank(b, a))
  }
}

/** Versions that were applied after a higher one. */
const outOfOrderVersions = (applied: ReadonlyArray<Row>): ReadonlySet<string> => {
  const late = new Set<string>()
  let high: string | undefined
  for (const row of [...applied].sort(byRank)) {
    if (high !== undefined && compareVersions(row.version!, high) < 0) {
      late.add(versionKey(row.version!))
    } else {
      high = row.version
    }
  }
  return late
}
