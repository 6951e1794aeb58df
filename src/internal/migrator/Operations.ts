/**
 * The operations, on a connection that is pinned: run, status, plan, validate, repair, baseline, undo.
 */
import * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Os from "node:os"
import { fromSqlError } from "../../DbError.js"
import * as Execute from "./Execute.js"
import type { History, NewRow, Shape } from "./History.js"
import type { Migration } from "./Migration.js"
import * as Errors from "./MigrationError.js"
import type { MigrationError } from "./MigrationError.js"
import * as Name from "./Name.js"
import type { Applied, Options, Planned, RunResult } from "./Options.js"
import type { Access, ReadyMigration, RunContext } from "./RunContext.js"
import * as Mssql from "./session/Mssql.js"
import * as Mysql from "./session/Mysql.js"
import * as Pg from "./session/Pg.js"
import * as Sqlite from "./session/Sqlite.js"
import * as SessionState from "./SessionState.js"
import { begin, created, historyError, locked, look } from "./Situation.js"
import type { Failure, Situation } from "./Situation.js"
import { duplicates } from "./State.js"
import type { Repair, Row, State } from "./State.js"

const sessions = { pg: Pg.capture, sqlite: Sqlite.capture, mysql: Mysql.capture, mssql: Mssql.capture }

type Needs<R> = R | SqlClient.SqlClient

const refusal = (situation: Situation, state: State): MigrationError => {
  const { problems } = state
  const first = problems[0]!
  return Errors.make({
    reason: first.reason,
    database: situation.database,
    problem: problems.length === 1
      ? `the migration ${first.message}`
      : `${problems.length} migrations are not what the history says`,
    ...(problems.length === 1 ? { script: first.script, version: first.version } : { problems }),
    notApplied: state.pending.map((migration) => migration.script),
    advice: Errors.migrationReasons[first.reason].advice
  })
}

const userName = (): string => {
  try {
    return Os.userInfo().username
  } catch {
    // There is no entry for the user, as in some containers.
    return "unknown"
  }
}

const by = <R>(situation: Situation, options: Options<R>): string | undefined =>
  options.installedBy ?? (situation.dialect === "sqlite" ? userName() : undefined)

const nextRank = (rows: ReadonlyArray<Row>): number =>
  rows.reduce((highest, row) => Math.max(highest, row.installedRank), 0) + 1

/** A list of rows that grows as rows are written, so that it need not be read again. */
class Ledger {
  constructor(
    readonly history: History,
    readonly shape: Shape,
    private rows: ReadonlyArray<Row>
  ) {}

  get rank() {
    return nextRank(this.rows)
  }

  /** Known even when the transaction fails later: the run ends then. */
  readonly insert = (row: NewRow) =>
    Effect.suspend(() => {
      const known = this.rows
      this.rows = [...known, { ...row, installedBy: "", installedOn: "" }]
      return this.history.insert(row, known, this.shape)
    })
}

const typeOf = (migration: Migration) => migration.body._tag === "Sql" ? "SQL" : "EFFECT"

export const status = <R>(
  database: string,
  options: Options<R>,
  access: Access
): Effect.Effect<State, Failure, Needs<R>> =>
  Effect.gen(function*() {
    const situation = yield* begin(database, options, access)
    return (yield* look(situation, options)).state
  })

/** Runs each of them, with its events. */
const runAll = Effect.fnUntraced(function*<R>(
  situation: Situation,
  options: Options<R>,
  ready: ReadonlyArray<ReadyMigration>,
  record: (ready: ReadyMigration) => Execute.Entry
) {
  const tell = options.onEvent ?? (() => Effect.void)
  const total = ready.length
  const applied: Array<Applied> = []
  const sql = yield* SqlClient.SqlClient
  const session = yield* Effect.mapError(
    SessionState.capture(sql, situation.dialect, sessions),
    (error) => fromSqlError(error, situation.database)
  )
  for (const [i, next] of ready.entries()) {
    const { description, script, version } = next.migration
    yield* tell({ _tag: "Started", script, index: i + 1, total, transaction: next.transactional })
    const context: RunContext = {
      ...situation,
      session,
      onStatement: (count, line) => tell({ _tag: "Statement", script, count, line })
    }
    const { left, millis } = yield* Effect.mapError(
      Execute.execute(context, next, record(next)),
      (error) =>
        Errors.extend(error, {
          applied: applied.map((done) => done.script),
          // One whose COMMIT got no answer, or which has committed by itself, may be applied.
          notApplied: ready.slice(next.transactional && error.outcome === "Unknown" ? i + 1 : i)
            .map((waiting) => waiting.migration.script)
        })
    )
    applied.push({ script, version, description, millis })
    yield* tell({ _tag: "Ended", script, index: i + 1, total, millis })
    yield* Effect.logInfo("migration applied").pipe(
      Effect.annotateLogs({ database: situation.database, script, millis })
    )
    if (left.length > 0) {
      return yield* Effect.fail(Errors.make({
        reason: "Failed",
        database: situation.database,
        script,
        version,
        problem: `the migration was applied, but it changed its session, and this could not be put back: ${
          left.join(", ")
        }`,
        advice: "run again: what follows begins on a new connection",
        applied: applied.map((done) => done.script),
        notApplied: ready.slice(i + 1).map((waiting) => waiting.migration.script)
      }))
    }
  }
  return applied
})

export const run = <R>(
  database: string,
  options: Options<R>,
  access: Access
): Effect.Effect<RunResult, Failure, Needs<R>> =>
  Effect.scoped(Effect.gen(function*() {
    const situation = yield* begin(database, options, access)
    const before = yield* look(situation, options)
    if (before.state.pending.length === 0 && before.state.problems.length === 0) {
      // Nothing to do, which is what nearly every start finds: no lock, no write.
      return { applied: [], current: before.state.current }
    }
    yield* faultless(situation)
    // What looks like a failure may be another runner at work: only under the lock the history is final.
    yield* locked(situation, options)
    const { rows, shape: found, state } = yield* look(situation, options)
    if (state.problems.length > 0) {
      return yield* Effect.fail(refusal(situation, state))
    }
    if (state.pending.length === 0) {
      return { applied: [], current: state.current }
    }
    const ready = yield* prepareAll(situation, options, state.pending)
    const shape = yield* created(situation, found)
    yield* refuseRepeatable(situation, shape, state.pending)
    const ledger = new Ledger(situation.history, shape, rows)
    const applied = yield* runAll(situation, options, ready, (next) => {
      const { checksum, description, script, version } = next.migration
      const installedRank = ledger.rank
      return Execute.recordRow(
        {
          installedRank,
          version,
          description,
          type: typeOf(next.migration),
          script,
          checksum,
          installedBy: by(situation, options)
        },
        ledger.insert,
        (change) => situation.history.update(installedRank, change)
      )
    })
    const current = applied.reduce<string | undefined>(
      (high, { version }) =>
        version !== undefined && (high === undefined || Name.compareVersions(version, high) > 0) ? version : high,
      state.current
    )
    return { applied, current }
  }))

/** Faults of the files alone need no lock to be told. */
const faultless = (situation: Situation): Effect.Effect<void, MigrationError> => {
  const problems = duplicates(situation.migrations)
  return problems.length === 0
    ? Effect.void
    : Effect.fail(
      refusal(situation, { current: undefined, migrations: [], pending: [], problems, repairs: [], applied: [] })
    )
}

const prepareAll = Effect.fnUntraced(
  function*<R>(situation: Situation, options: Options<R>, migrations: ReadonlyArray<Migration>) {
    const foreignKeys = yield* checksForeignKeys(situation)
    return yield* Effect.forEach(migrations, (migration) =>
      Execute.prepare(migration, {
        database: situation.database,
        dialect: situation.dialect,
        placeholders: options.placeholders ?? {},
        foreignKeys
      })).pipe(
        Effect.mapError((error) => Errors.extend(error, { notApplied: migrations.map(({ script }) => script) }))
      )
  }
)

/** Whether the session checks foreign keys; where they cannot be switched off, it does. */
const checksForeignKeys = (situation: Situation) =>
  situation.dialect !== "sqlite" ?
    Effect.succeed(true) :
    Effect.flatMap(SqlClient.SqlClient, (sql) =>
      sql<{ on: number }>`SELECT foreign_keys AS "on" FROM pragma_foreign_keys`.pipe(
        Effect.map(([row]) =>
          Number(row?.on) === 1
        ),
        Effect.mapError((error) => fromSqlError(error, situation.database))
      ))

const refuseRepeatable = (situation: Situation, shape: Shape, pending: ReadonlyArray<Migration>) => {
  const repeatable = pending.find((migration) => migration.kind === "repeatable")
  return shape.oneRowPerVersion && repeatable !== undefined
    ? Effect.fail(Errors.make({
      reason: "History",
      database: situation.database,
      script: repeatable.script,
      problem: `the table ${situation.table} is one of Flyway 3, which cannot record repeatable migrations`,
      advice: "make its columns version and version_rank nullable and installed_rank its primary key"
    }))
    : Effect.void
}

export const plan = <R>(
  database: string,
  options: Options<R>,
  access: Access
): Effect.Effect<ReadonlyArray<Planned>, Failure, Needs<R>> =>
  Effect.gen(function*() {
    const situation = yield* begin(database, options, access)
    const { state } = yield* look(situation, options)
    if (state.problems.length > 0) {
      return yield* Effect.fail(refusal(situation, state))
    }
    const ready = yield* prepareAll(situation, options, state.pending)
    return ready.map(({ migration, script, transactional: isTransactional }): Planned => ({
      script: migration.script,
      version: migration.version,
      description: migration.description,
      transaction: isTransactional,
      statements: script?.known?.map(({ line, replaced }) => ({ line, text: replaced.text }))
    }))
  })

export const validate = <R>(
  database: string,
  options: Options<R>,
  access: Access
): Effect.Effect<State, Failure, Needs<R>> =>
  Effect.gen(function*() {
    const situation = yield* begin(database, options, access)
    const { state } = yield* look(situation, options)
    if (state.problems.length > 0) {
      return yield* Effect.fail(refusal(situation, state))
    }
    if (state.pending.length > 0) {
      const { length } = state.pending
      return yield* Effect.fail(Errors.make({
        reason: "Pending",
        database,
        problem: length === 1 ? "1 migration is not applied" : `${length} migrations are not applied`,
        notApplied: state.pending.map((migration) => migration.script)
      }))
    }
    return state
  })

export const repair = <R>(
  database: string,
  options: Options<R>,
  access: Access
): Effect.Effect<ReadonlyArray<Repair>, Failure, Needs<R>> =>
  Effect.scoped(Effect.gen(function*() {
    const situation = yield* begin(database, options, access)
    yield* faultless(situation)
    yield* locked(situation, options)
    const { state: { repairs } } = yield* look(situation, options)
    if (repairs.length === 0) {
      return repairs
    }
    const sql = yield* SqlClient.SqlClient
    yield* Effect.forEach(repairs, (change) =>
      change._tag === "RemoveFailed"
        ? situation.history.remove(change.row.installedRank)
        : situation.history.update(change.row.installedRank, {
          checksum: change.checksum,
          description: change.description
        }), { discard: true }).pipe(sql.withTransaction, Effect.mapError(historyError(situation)))
    return repairs
  }))

export const baseline = <R>(
  database: string,
  options: Options<R>,
  access: Access,
  baseline: { readonly version: string; readonly description: string }
): Effect.Effect<void, Failure, Needs<R>> =>
  Effect.scoped(Effect.gen(function*() {
    const { description, version } = baseline
    const situation = yield* begin(database, options, access)
    if (!Name.isVersion(version)) {
      return yield* Effect.fail(Errors.make({
        reason: "Parse",
        database,
        problem: `"${version}" is not a version`,
        advice: "give numbers joined by dots, such as 3 or 1.2"
      }))
    }
    yield* locked(situation, options)
    const { rows, shape: found } = yield* look(situation, options)
    const shape = yield* created(situation, found)
    const earlier = rows.find((row) => row.type !== "SCHEMA")
    if (earlier !== undefined) {
      return yield* Effect.fail(Errors.make({
        reason: "History",
        database,
        problem: `the history already has rows, the first of them ${earlier.script}`,
        advice: "a baseline is only for a database without history; run migrations instead"
      }))
    }
    const row: NewRow = {
      installedRank: nextRank(rows),
      version: version.replaceAll("_", "."),
      description: description.slice(0, 200),
      type: "BASELINE",
      script: description.slice(0, 200),
      checksum: undefined,
      installedBy: by(situation, options),
      executionTime: 0,
      success: true
    }
    yield* Effect.mapError(situation.history.insert(row, rows, shape), historyError(situation))
  }))

export const undo = <R>(
  database: string,
  options: Options<R>,
  access: Access
): Effect.Effect<ReadonlyArray<Applied>, Failure, Needs<R>> =>
  Effect.scoped(Effect.gen(function*() {
    const situation = yield* begin(database, options, access)
    yield* faultless(situation)
    yield* locked(situation, options)
    const { rows, shape, state } = yield* look(situation, { ...options, target: undefined })
    const failed = state.problems.filter((problem) => problem.reason === "Failed")
    if (failed.length > 0) {
      return yield* Effect.fail(refusal(situation, { ...state, problems: failed }))
    }
    const { target } = options
    const wanted = target === undefined
      ? state.applied.slice(0, 1)
      : state.applied.filter((row) => Name.compareVersions(row.version!, target) >= 0)
    const undos = new Map(
      situation.migrations.filter((migration) => migration.kind === "undo")
        .map((migration) => [Name.versionKey(migration.version!), migration])
    )
    const without = wanted.filter((row) => !undos.has(Name.versionKey(row.version!)))
    if (without.length > 0) {
      return yield* Effect.fail(Errors.make({
        reason: "Missing",
        database,
        problem: `there is no undo migration for version ${without.map((row) => row.version).join(", ")}`,
        advice: `write ${
          without.map((row) => `U${row.version}__${row.description.replaceAll(" ", "_")}.sql`).join(", ")
        }`
      }))
    }
    const versions = new Map(wanted.map((row) => [undos.get(Name.versionKey(row.version!))!, row]))
    const ready = yield* prepareAll(situation, options, [...versions.keys()])
    const ledger = new Ledger(situation.history, shape, rows)
    return yield* runAll(situation, options, ready, (next) => {
      const { checksum, description, script } = next.migration
      const row = versions.get(next.migration)!
      const installedRank = ledger.rank
      const type = `UNDO_${typeOf(next.migration)}`
      const record = Execute.recordRow(
        {
          installedRank,
          version: row.version,
          description,
          type,
          script,
          checksum,
          installedBy: by(situation, options)
        },
        ledger.insert,
        (change) => situation.history.update(installedRank, change)
      )
      // Where the table holds one row per version only, the row of what was undone goes.
      return shape.oneRowPerVersion
        ? {
          ...record,
          write: () => situation.history.remove(row.installedRank),
          begin: (progress) => situation.history.update(row.installedRank, { description: progress, success: false }),
          change: (change) =>
            change.success === true
              ? situation.history.remove(row.installedRank)
              : situation.history.update(row.installedRank, change)
        }
        : record
    })
  }))
