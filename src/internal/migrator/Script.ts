/**
 * SQL migrations on their way to the database: statements with their places, directives, placeholders.
 */
import type { Dialect } from "@effect/sql/Statement"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Arrangement, foreignKeysIn, isBeginning, isTransactionalOnMysql } from "./Arrangement.js"
import type { ForeignKeys, Place as Placed } from "./Arrangement.js"
import type { Body, Migration } from "./Migration.js"
import type { ExcerptLine, MigrationError } from "./MigrationError.js"
import * as Errors from "./MigrationError.js"
import { replace } from "./placeholders.js"
import type { Replaced } from "./placeholders.js"
import { runsBeforeBegin } from "./pragma.js"
import { Splitter } from "./Splitter.js"
import type { Place, Statement } from "./Statement.js"
import { advance, SplitFault } from "./Statement.js"

/**
 * What a file says of itself, in line comments before its first statement:
 *
 * - `-- dblive: no-transaction`: it runs without a transaction (`CREATE INDEX CONCURRENTLY`, `VACUUM`).
 * - `-- dblive: no-placeholders`: `${name}` stays as it is.
 */
export interface Directives {
  readonly transaction: boolean
  readonly placeholders: boolean
}

/** A statement with its placeholders replaced. */
export interface ReadyStatement extends Statement {
  readonly replaced: Replaced
}

/** A file that is about to run. */
export interface Script {
  /** It runs in one transaction with its history row. */
  readonly transactional: boolean
  /** What runs before the transaction begins. */
  readonly before: ReadonlyArray<ReadyStatement>
  /** How foreign keys are set around the transaction; `undefined`: they stay as they are. */
  readonly foreignKeys: ForeignKeys | undefined
  readonly statements: Stream.Stream<ReadyStatement, MigrationError>
  /** All of them, as they stand in the file, where it is small enough to have been read as a whole. */
  readonly known: ReadonlyArray<ReadyStatement> | undefined
}

/** What is needed to read a script. */
export interface Context {
  readonly database: string
  readonly dialect: Dialect
  readonly placeholders: Readonly<Record<string, string>>
  /** Whether the session checks foreign keys, for SQLite. */
  readonly foreignKeys: boolean
}

type SqlBody = Extract<Body, { readonly _tag: "Sql" }>

/** Files up to this size are read and checked as a whole before anything runs. */
const wholeFile = 1024 * 1024

/** Lines shown before and after the one at fault. */
const around = 2

/** What mysqldump and mariadb-dump write around tables, and before a binary value that is not in hex. */
const dumpMark = /^-- (?:MySQL|MariaDB) dump\b|^\/\*M?!\d{5}|\b_binary\s*'/im

/** Whether bytes look like a dump with binary values. */
const looksLikeDump = (bytes: Uint8Array): boolean => dumpMark.test(Buffer.from(bytes).toString("latin1"))

const decode = (migration: Migration, body: SqlBody, database: string): Stream.Stream<string, MigrationError> =>
  Stream.suspend(() => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
    let first: Uint8Array | undefined
    const text = (bytes: Uint8Array | undefined) =>
      Effect.try({
        try: () => {
          first ??= bytes
          return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true })
        },
        catch: () =>
          Errors.make({
            reason: "Parse",
            database,
            script: migration.script,
            version: migration.version,
            problem: "the file is not UTF-8",
            advice: [first, bytes].some((piece) => piece !== undefined && looksLikeDump(piece))
              ? "make the dump again with --hex-blob: its binary values are no text, and saving the file as UTF-8 would " +
                "change them"
              : "save it as UTF-8"
          })
      })
    return body.content.pipe(
      Stream.mapError((cause) =>
        Errors.make({
          reason: "Missing",
          database,
          script: migration.script,
          version: migration.version,
          problem: `the file cannot be read any more: ${cause.message}`,
          cause
        })
      ),
      Stream.mapEffect(text),
      Stream.concat(Stream.fromEffect(Effect.suspend(() => text(undefined))))
    )
  })

/** The lines of the file around a place. */
export const excerpt = (
  migration: Migration,
  line: number,
  database: string
): Effect.Effect<ReadonlyArray<ExcerptLine>> => {
  const { body } = migration
  if (body._tag !== "Sql") {
    return Effect.succeed([])
  }
  return Effect.suspend(() => {
    // Not Stream.splitLines: a CR alone is a line's end, too, and CRLF may be cut.
    const lines: Array<ExcerptLine> = []
    let current = ""
    let number = 1
    let isAfterCR = false
    const end = () => {
      if (number >= line - around && number <= line + around) {
        lines.push({ line: number, text: number === 1 ? current.replace(/^\ufeff/, "") : current })
      }
      current = ""
      number++
    }
    const feed = (text: string) => {
      let start = 0
      for (let i = 0; i < text.length && number <= line + around; i++) {
        const code = text.charCodeAt(i)
        if (code === 10 && isAfterCR) {
          start = i + 1
        } else if (code === 10 || code === 13) {
          current += text.slice(start, i)
          end()
          start = i + 1
        }
        isAfterCR = code === 13
      }
      current = number >= line - around ? current + text.slice(start) : ""
    }
    return decode(migration, body, database).pipe(
      Stream.takeUntil((text) => {
        feed(text)
        return number > line + around
      }),
      Stream.runDrain,
      Effect.ignore,
      Effect.map(() => {
        // The end of the last line is not the beginning of another one.
        if (number <= line + around && (current !== "" || number === line)) {
          end()
        }
        return lines
      })
    )
  })
}

/** Fails with the place in the file, and the lines around it. */
export const failAt = (
  migration: Migration,
  place: Place,
  parts: Omit<Errors.Parts, "script" | "version" | "line" | "column" | "excerpt">
): Effect.Effect<never, MigrationError> =>
  Effect.flatMap(excerpt(migration, place.line, parts.database), (lines) =>
    Effect.fail(Errors.make({
      ...parts,
      script: migration.script,
      version: migration.version,
      line: place.line,
      column: place.column,
      excerpt: lines
    })))

/** Runs what throws a {@link SplitFault}. */
const attempt = <A>(migration: Migration, context: Context, f: () => A): Effect.Effect<A, MigrationError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (error) {
      return error instanceof SplitFault
        ? failAt(migration, error, {
          reason: "Parse",
          database: context.database,
          problem: error.message,
          advice: error.advice
        })
        : Effect.die(error)
    }
  })

const directive = /^\s*dblive:\s*(.*?)\s*$/i

const noTransaction = "no-transaction"
const noPlaceholders = "no-placeholders"

interface MutableDirectives {
  transaction: boolean
  placeholders: boolean
}

const split = (
  migration: Migration,
  body: SqlBody,
  context: Context,
  directives: MutableDirectives
): Stream.Stream<Statement, MigrationError> =>
  Stream.suspend(() => {
    const splitter = new Splitter(context.dialect, (text, place, isAfterStatement) => {
      const words = directive.exec(text)?.[1]
      if (words === undefined) {
        return
      }
      if (words !== noTransaction && words !== noPlaceholders) {
        throw new SplitFault(
          `"${words}" is not a directive`,
          place.line,
          place.column,
          `directives are "${noTransaction}" and "${noPlaceholders}"`
        )
      }
      if (isAfterStatement) {
        throw new SplitFault(
          `the directive "${words}" stands behind a statement`,
          place.line,
          place.column,
          "put it before the first statement of the file"
        )
      }
      directives[words === noTransaction ? "transaction" : "placeholders"] = false
    })
    const feed = (take: () => ReadonlyArray<Statement>) => attempt(migration, context, take)
    return decode(migration, body, context.database).pipe(
      Stream.mapEffect((text) => feed(() => splitter.push(text))),
      Stream.concat(Stream.fromEffect(feed(() => splitter.end()))),
      Stream.flattenIterables
    )
  })

const ready =
  (migration: Migration, context: Context, directives: Directives) =>
  (statement: Statement): Effect.Effect<ReadyStatement, MigrationError> => {
    const replaced = directives.placeholders
      ? replace(statement.text, context.placeholders)
      : { text: statement.text, original: (index: number) => index }
    return "missing" in replaced
      ? failAt(migration, advance(statement, statement.text.slice(0, replaced.index)), {
        reason: "Parse",
        database: context.database,
        problem: `the placeholder \${${replaced.missing}} has no value`,
        advice: `give it one in the option placeholders (--placeholder ${replaced.missing}=...), or put ` +
          `"-- dblive: ${noPlaceholders}" at the beginning of the file`
      })
      : Effect.succeed({ ...statement, replaced })
  }

/** A file that was read as a whole. */
const whole = (
  migration: Migration,
  context: Context,
  isTransaction: boolean,
  known: ReadonlyArray<ReadyStatement>
): Effect.Effect<Script, MigrationError> => {
  const isTransactional = isTransaction && (context.dialect !== "mysql" || isTransactionalOnMysql(known))
  if (!isTransactional) {
    return Effect.succeed({
      transactional: isTransactional,
      before: [],
      foreignKeys: undefined,
      statements: Stream.fromIterable(known),
      known
    })
  }
  const foreignKeys = context.dialect === "sqlite" ? foreignKeysIn(known, context.foreignKeys, true) : undefined
  return attempt(migration, context, () => {
    const arrangement = new Arrangement(
      context.dialect,
      noTransaction,
      foreignKeys?.on ?? context.foreignKeys,
      true
    )
    const places = known.map((statement) => [arrangement.place(statement), statement] as const)
    arrangement.end()
    const at = (place: Placed) => places.filter(([own]) => own === place).map(([, statement]) => statement)
    return {
      transactional: isTransactional,
      before: at("before"),
      foreignKeys,
      statements: Stream.fromIterable(at("inside")),
      known
    }
  })
}

/** A file too large to be held: its beginning was read, and the rest is looked at when it passes. */
const streamed = (
  migration: Migration,
  context: Context,
  isTransaction: boolean,
  beginning: ReadonlyArray<ReadyStatement>,
  statements: Stream.Stream<ReadyStatement, MigrationError>
): Script => {
  const isTransactional = isTransaction && context.dialect !== "mysql"
  if (!isTransactional) {
    return { transactional: isTransactional, before: [], foreignKeys: undefined, statements, known: undefined }
  }
  const foreignKeys = context.dialect === "sqlite" ? foreignKeysIn(beginning, context.foreignKeys, false) : undefined
  const arranged = Stream.suspend(() => {
    const arrangement = new Arrangement(
      context.dialect,
      noTransaction,
      foreignKeys?.on ?? context.foreignKeys,
      false
    )
    let isBeginningOfFile = true
    return statements.pipe(
      Stream.mapEffect((statement) =>
        attempt(migration, context, () => {
          isBeginningOfFile &&= isBeginning(statement)
          const place = arrangement.place(statement)
          // A pragma that comes later runs where it stands, and the database says what it thinks of it.
          return place === "inside" || (place === "before" && !isBeginningOfFile) ? [statement] : []
        })
      ),
      Stream.concat(Stream.fromEffect(Effect.as(attempt(migration, context, () => arrangement.end()), []))),
      Stream.flattenIterables
    )
  })
  return {
    transactional: isTransactional,
    before: beginning.filter(({ text }) => context.dialect === "sqlite" && runsBeforeBegin(text)),
    foreignKeys,
    statements: arranged,
    known: undefined
  }
}

/**
 * Reads a file as far as it must be read before it runs: a small one wholly, so that its faults are found before
 * anything is changed; a large one up to its first statement, for its directives and what has to run before BEGIN.
 */
export const read = (migration: Migration, body: SqlBody, context: Context): Effect.Effect<Script, MigrationError> =>
  Effect.suspend((): Effect.Effect<Script, MigrationError> => {
    const directives: MutableDirectives = { transaction: true, placeholders: true }
    const statements = Stream.mapEffect(
      split(migration, body, context, directives),
      (statement) => ready(migration, context, directives)(statement)
    )
    return body.size <= wholeFile
      ? Effect.flatMap(
        Stream.runCollect(statements),
        (known) => whole(migration, context, directives.transaction, [...known])
      )
      : statements.pipe(
        Stream.takeUntil((statement) => !isBeginning(statement)),
        Stream.runCollect,
        Effect.map((head) => {
          const beginning = [...head].filter(isBeginning)
          const again = Stream.mapEffect(
            split(migration, body, context, { transaction: true, placeholders: true }),
            ready(migration, context, { ...directives })
          )
          return streamed(migration, context, directives.transaction, beginning, again)
        })
      )
  })

/** What a server says of where in the statement the error lies. */
export interface ServerPosition {
  /** In characters (code points), from 1. */
  readonly position: number | undefined
  /** A line of the statement, from 1. */
  readonly line: number | undefined
  /** The piece of the statement that SQLite stumbled over. */
  readonly near: string | undefined
}

/** The place in the file that a server's error is about; the statement's beginning where the server does not say. */
export const locate = (statement: ReadyStatement, server: ServerPosition): Place => {
  const { replaced } = statement
  const index = Option.getOrElse(indexOf(replaced.text, server), () => 0)
  return advance(statement, statement.text.slice(0, replaced.original(index)))
}

const indexOf = (text: string, server: ServerPosition): Option.Option<number> => {
  if (server.position !== undefined) {
    let index = 0
    for (let left = server.position - 1; left > 0 && index < text.length; left--) {
      index += text.codePointAt(index)! > 0xffff ? 2 : 1
    }
    return Option.some(index)
  }
  if (server.line !== undefined) {
    let start = 0
    for (let line = 1; line < server.line; line++) {
      const end = /\r\n|\r|\n/.exec(text.slice(start))
      if (end === null) {
        break
      }
      start += end.index + end[0].length
    }
    const indent = /^[^\S\r\n]*/.exec(text.slice(start))![0].length
    return Option.some(start + indent)
  }
  if (server.near !== undefined && server.near !== "") {
    // Only where it cannot be another one.
    const first = text.indexOf(server.near)
    return first >= 0 && text.indexOf(server.near, first + 1) < 0 ? Option.some(first) : Option.none()
  }
  return Option.none()
}
