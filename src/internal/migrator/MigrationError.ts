/**
 * The error of migrations: what failed, in which file and line, what is applied and what is not, and what to do next.
 */
import * as Schema from "effect/Schema"
import { Outcome } from "../../DbError.js"

/**
 * Every reason of a {@link MigrationError}, with its meaning and what to do.
 *
 * @since 0.1.0
 * @category errors
 */
export const migrationReasons = {
  Parse: {
    meaning: "a migration cannot be read: its name, a placeholder, a directive or its SQL",
    advice: "correct the file at the place given"
  },
  Checksum: {
    meaning: "a migration was edited or renamed after it had been applied",
    advice: "undo the edit and write a new migration; or, if the database already is what the file says now, run repair"
  },
  Failed: {
    meaning: "a statement of a migration failed, now or in an earlier run",
    advice: "correct the migration and run again"
  },
  Locked: {
    meaning: "another runner holds the migrations' lock",
    advice:
      "wait until it has ended, or raise lockWait; the lock is freed when its holder's connection ends, which after a " +
      "process was killed may be at the end of the statement that it was running: end that one on the server, or wait"
  },
  Missing: {
    meaning: "a migration that is needed is not there",
    advice: "put the file back, for instance from version control"
  },
  DuplicateVersion: {
    meaning: "two migrations have the same version, or two repeatable ones the same description",
    advice: "give one of them another version"
  },
  Permission: {
    meaning: "the user may not do what the migration needs",
    advice: "grant the right, or run migrations as another user"
  },
  ReadOnly: {
    meaning: "the database accepts no writes",
    advice: "connect to the primary, with read-write access"
  },
  OutOfOrder: {
    meaning: "a version lower than one already applied has arrived late",
    advice: "give it a version above the current one, or allow it with outOfOrder"
  },
  Pending: {
    meaning: "migrations wait to be applied",
    advice: "run them"
  },
  History: {
    meaning: "the history table is not what the operation needs",
    advice: "see the message"
  }
} as const satisfies Record<string, { readonly meaning: string; readonly advice: string }>

/**
 * The reasons of a {@link MigrationError}, as a schema.
 *
 * @since 0.1.0
 * @category errors
 */
export const MigrationReason = Schema.Literal(
  // Object.keys gives the table's own keys, of which there is at least one.
  ...(Object.keys(migrationReasons) as [keyof typeof migrationReasons, ...Array<keyof typeof migrationReasons>])
)

/**
 * Why migrations could not be run.
 *
 * @since 0.1.0
 * @category errors
 */
export type MigrationReason = typeof MigrationReason.Type

/**
 * One fault that a validation found.
 *
 * @since 0.1.0
 * @category models
 */
export const Problem = Schema.Struct({
  reason: MigrationReason,
  /** The file or key of the migration. */
  script: Schema.String,
  version: Schema.optional(Schema.String),
  message: Schema.String
})

/**
 * @since 0.1.0
 * @category models
 */
export type Problem = typeof Problem.Type

/** A line of a file, as shown around an error. */
export const ExcerptLine = Schema.Struct({ line: Schema.Number, text: Schema.String })

export type ExcerptLine = typeof ExcerptLine.Type

/**
 * A migration could not be run, or the migrations are not what the history says.
 *
 * `message` is the whole report, over several lines; the fields hold its parts.
 *
 * @since 0.1.0
 * @category errors
 */
export class MigrationError extends Schema.TaggedError<MigrationError>("dblive/MigrationError")("MigrationError", {
  message: Schema.String,
  reason: MigrationReason,
  /** What is known of the failed migration's own changes. `RolledBack` also where nothing was begun. */
  outcome: Outcome,
  /** The name of the database: `"default"`, or that of its tag. */
  database: Schema.String,
  /** One sentence: what happened. */
  problem: Schema.String,
  /** What to do next. */
  advice: Schema.String,
  /** The file or key of the migration. */
  script: Schema.optional(Schema.String),
  version: Schema.optional(Schema.String),
  /** Where in the file, both from 1. */
  line: Schema.optional(Schema.Number),
  column: Schema.optional(Schema.Number),
  /** The lines around it. */
  excerpt: Schema.Array(ExcerptLine),
  /** What the server said. */
  serverMessage: Schema.optional(Schema.String),
  code: Schema.optional(Schema.String),
  detail: Schema.optional(Schema.String),
  hint: Schema.optional(Schema.String),
  /** Scripts that this run has applied, in order. */
  applied: Schema.Array(Schema.String),
  /** Scripts that wait to be applied, in order. */
  notApplied: Schema.Array(Schema.String),
  /** Everything a validation found. */
  problems: Schema.Array(Problem),
  cause: Schema.optional(Schema.Defect)
}) {}

/** What a {@link MigrationError} is made of; the rest is filled in. */
export interface Parts {
  readonly reason: MigrationReason
  readonly database: string
  readonly problem: string
  readonly advice?: string | undefined
  readonly outcome?: Outcome | undefined
  readonly script?: string | undefined
  readonly version?: string | undefined
  readonly line?: number | undefined
  readonly column?: number | undefined
  readonly excerpt?: ReadonlyArray<ExcerptLine> | undefined
  readonly serverMessage?: string | undefined
  readonly code?: string | undefined
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  readonly applied?: ReadonlyArray<string> | undefined
  readonly notApplied?: ReadonlyArray<string> | undefined
  readonly problems?: ReadonlyArray<Problem> | undefined
  readonly cause?: unknown
}

const names = (scripts: ReadonlyArray<string>): string =>
  scripts.length <= 5 ? scripts.join(", ") : `${scripts.slice(0, 4).join(", ")} and ${scripts.length - 4} more`

/** A long line (a row of data) would bury the report. */
const width = 160

const renderExcerpt = (parts: Parts): Array<string> => {
  const excerpt = parts.excerpt ?? []
  const gutter = String(excerpt[excerpt.length - 1]?.line ?? 0).length
  return excerpt.flatMap(({ line, text }) => {
    const isHere = line === parts.line
    const offset = isHere && parts.column !== undefined && parts.column > width ? parts.column - width / 2 : 0
    const shown = text.slice(offset, offset + width)
    const rendered = [`${isHere ? ">" : " "} ${String(line).padStart(gutter)} | ${shown}`]
    if (isHere && parts.column !== undefined) {
      // Tabs are kept, so that the caret stands below its character in any terminal.
      const before = shown.slice(0, parts.column - 1 - offset).replace(/[^\t]/g, " ")
      rendered.push(`  ${" ".repeat(gutter)} | ${before}^`)
    }
    return rendered
  })
}

const render = (parts: Parts, advice: string): string => {
  const place = parts.script === undefined
    ? ""
    : parts.line === undefined
    ? `${parts.script}: `
    : `${parts.script}:${parts.line}:${parts.column ?? 1}: `
  const lines = [`${place}${parts.problem} (database "${parts.database}")`]
  if (parts.serverMessage !== undefined) {
    lines.push(`server: ${parts.serverMessage}${parts.code === undefined ? "" : ` (${parts.code})`}`)
  }
  if (parts.detail !== undefined) {
    lines.push(`detail: ${parts.detail}`)
  }
  if (parts.hint !== undefined) {
    lines.push(`hint: ${parts.hint}`)
  }
  lines.push(...renderExcerpt(parts))
  for (const problem of parts.problems ?? []) {
    lines.push(`- ${problem.script}: ${problem.message}`)
  }
  if (parts.applied !== undefined && parts.applied.length > 0) {
    lines.push(`applied in this run: ${names(parts.applied)}`)
  }
  if (parts.notApplied !== undefined && parts.notApplied.length > 0) {
    lines.push(`not applied: ${names(parts.notApplied)}`)
  }
  lines.push(`next: ${advice}`)
  return lines.join("\n")
}

/** Makes a {@link MigrationError} and writes its report. */
export const make = (parts: Parts): MigrationError => {
  const advice = parts.advice ?? migrationReasons[parts.reason].advice
  const optional: Record<string, unknown> = {}
  for (
    const key of ["script", "version", "line", "column", "serverMessage", "code", "detail", "hint", "cause"] as const
  ) {
    if (parts[key] !== undefined) {
      optional[key] = parts[key]
    }
  }
  return new MigrationError({
    message: render(parts, advice),
    reason: parts.reason,
    outcome: parts.outcome ?? "NotSent",
    database: parts.database,
    problem: parts.problem,
    advice,
    excerpt: parts.excerpt ?? [],
    applied: parts.applied ?? [],
    notApplied: parts.notApplied ?? [],
    problems: parts.problems ?? [],
    ...optional
  })
}

/** The same error with further parts, and its report written anew. */
export const extend = (error: MigrationError, parts: Partial<Parts>): MigrationError => {
  const { message: _, _tag: __, ...rest } = error
  return make({ ...rest, ...parts })
}
