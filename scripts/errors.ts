/**
 * Writes docs/errors.md from the tables in the code: npm run docs:errors
 */
import { writeFileSync } from "node:fs"
import { argv } from "node:process"
import { fileURLToPath } from "node:url"
import {
  type ConnectionReason,
  connectionReasons,
  type QueryReason,
  queryReasons,
  type TimeoutPhase,
  timeoutPhases
} from "../src/DbError.js"
import { codes as mssql } from "../src/internal/driver/mssql/codes.js"
import { codes as mysql } from "../src/internal/driver/mysql/codes.js"
import { codes as pg } from "../src/internal/driver/pg/codes.js"
import { codes as sqlite } from "../src/internal/driver/sqlite/codes.js"

/** A line of the table of a server's driver. */
interface Line {
  readonly link?: ConnectionReason
  readonly statement?: QueryReason
  readonly timeout?: TimeoutPhase
}

type Kind = "ConnectionError" | "QueryError" | "TimeoutError"

/** One code, and what one table makes of it. */
interface Entry {
  readonly family: string
  readonly code: string
  readonly kind: Kind
  readonly reason: string
}

/** Codes of sockets, name resolution and TLS, and the names that the client libraries use, are letters that no server sends. */
const isLocal = (code: string) => /^[A-Z]/.test(code)

const ofServer = (family: string, table: Readonly<Record<string, Line>>): ReadonlyArray<Entry> =>
  Object.entries(table).flatMap(([code, line]) => {
    const entry = { family: isLocal(code) ? "sockets and client libraries" : family, code }
    return [
      // A code that names a limit ends the link too; what is reported is the limit.
      ...(line.link === undefined || line.timeout !== undefined
        ? []
        : [{ ...entry, kind: "ConnectionError" as const, reason: line.link }]),
      ...(line.statement === undefined ? [] : [{ ...entry, kind: "QueryError" as const, reason: line.statement }]),
      ...(line.timeout === undefined ? [] : [{ ...entry, kind: "TimeoutError" as const, reason: line.timeout }])
    ]
  })

const families = ["PostgreSQL", "MySQL and MariaDB", "SQL Server", "SQLite", "sockets and client libraries"]

const entries: ReadonlyArray<Entry> = [
  ...ofServer("PostgreSQL", pg),
  ...ofServer("MySQL and MariaDB", mysql),
  ...ofServer("SQL Server", mssql),
  ...Object.entries(sqlite).map(([code, { error, reason }]) => ({ family: "SQLite", code, kind: error, reason }))
]

const before = "`NotSent`: it happens before a statement is sent"
const underWay =
  "`NotSent` when no statement was under way; `RolledBack` inside a transaction, before its COMMIT; `Unknown` for a statement " +
  "outside of one, or that ended it"
const undone = "`RolledBack`: the database undid the statement"
const rolledBack = "`RolledBack`: the database undid the whole transaction"
const ran = "`Applied`: the statement ran; what it wrote is kept, or belongs to the open transaction"
const never = "`NotSent` where the statement was refused before it ran, else `RolledBack`"

/** What is known about a write that failed so. */
const outcomes: {
  readonly ConnectionError: Readonly<Record<ConnectionReason, string>>
  readonly QueryError: Readonly<Record<QueryReason, string>>
  readonly TimeoutError: Readonly<Record<TimeoutPhase, string>>
} = {
  ConnectionError: {
    Refused: before,
    HostNotFound: before,
    Unreachable: before,
    Authentication: before,
    Authorization: before,
    UnknownDatabase: before,
    Tls: before,
    TooManyConnections: before,
    ServerStarting: before,
    ServerShutdown: underWay,
    Lost: underWay,
    Closed: underWay,
    Overloaded: before,
    ReadOnlyServer: "`NotSent` or `RolledBack`: such a server applies nothing",
    StaleTimeline: before,
    NoReplica: before,
    Unsupported: before,
    CannotOpen: before,
    NotADatabase: never,
    Unknown: underWay
  },
  QueryError: {
    SqlSyntax: never,
    UndefinedObject: never,
    UniqueViolation: undone,
    ForeignKeyViolation: undone,
    NotNullViolation: undone,
    CheckViolation: undone,
    ExclusionViolation: undone,
    DataError: never,
    Authorization: never,
    ReadOnly: never,
    Deadlock: rolledBack,
    Serialization: rolledBack,
    LockConflict: undone,
    TransactionAborted: "`RolledBack`: nothing of the transaction is applied",
    DiskFull: undone,
    OutOfMemory: undone,
    CommitUnknown: "`Unknown`, always: that is what it says",
    SqlFile: before,
    Parameter: "`NotSent`: the driver refuses it, or the server before it runs the statement",
    NotFound: ran,
    TooMany: ran,
    Unknown: "`RolledBack` where the database answered; `Unknown` for a `SqlError` that is not of dblive's making"
  },
  TimeoutError: {
    Connect: before,
    Acquire: before,
    Statement:
      "`RolledBack` when the server says that it stopped the statement; `Unknown` when it could not be asked, or is not waited for any more",
    Lock: undone,
    IdleInTransaction: "`RolledBack`",
    Transaction: "`RolledBack`; `Unknown` when the limit ran out during COMMIT and its answer never came",
    Close: underWay
  }
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

const codesOf = (kind: Kind, reason: string): ReadonlyArray<string> =>
  families.flatMap((family) => {
    const own = entries
      .filter((entry) => entry.kind === kind && entry.reason === reason && entry.family === family)
      .map(({ code }) => `\`${code}\``)
    return own.length === 0 ? [] : [`- ${family}: ${[...new Set(own)].join(" ")}`]
  })

const section = <Reason extends string>(
  kind: Kind,
  table: Readonly<
    Record<Reason, { readonly isTransient: boolean; readonly meaning: string; readonly advice: string }>
  >,
  outcome: Readonly<Record<Reason, string>>
): string =>
  // The keys of a literal are its reasons.
  (Object.keys(table) as Array<Reason>).map((reason) => {
    const { advice, isTransient, meaning } = table[reason]
    return [
      `### ${kind}: ${reason}`,
      "",
      `${sentence(meaning)} **Do:** ${advice}.`,
      "",
      `- ${isTransient ? "transient: the same may succeed later" : "not transient"}`,
      `- outcome: ${outcome[reason]}`,
      ...codesOf(kind, reason)
    ].join("\n")
  }).join("\n\n")

/** The page, as it is written. */
export const page =
  `<!-- Written by npm run docs:errors from src/internal/error/reasons.ts and the drivers' codes.ts: change it there. -->

# Errors

\`ConnectionError\` (\`reason\`), \`QueryError\` (\`reason\`) and \`TimeoutError\` (\`phase\`) are all that a database, a network or a limit can make
of an effect. They are classified once, in the driver, from codes. The lists below are those of the code's own tables: SQLSTATEs on
PostgreSQL (two characters stand for a class, for its codes without a line of their own), numbers on the others. A code that is not listed is
\`Unknown\`, and \`code\` holds it.

Each error has \`what\` (what happened, and where) and \`advice\` (what to do: that of the reason below, where nothing better is known) beside
\`reason\` or \`phase\`, \`code\`, \`limitMillis\` and \`database\`. \`message\` is rendered from them:
\`database "orders": 127.0.0.1:5432: connect ECONNREFUSED (Refused, ECONNREFUSED). Check that the server runs and that host and port are right.\`
\`committedBy\` is the statement before which the database committed a part of the transaction by itself, as MySQL and MariaDB do before DDL.

**Outcome** is what is known about a write: \`NotSent\` and \`RolledBack\` mean that nothing of it is applied; \`Unknown\` means that it may
be, because the answer was lost. **Transient** means that the same may succeed later. \`DbError.isRetryable(error)\` is both: transient, and not
\`Unknown\`. Only that is ever retried.

\`DbError.catchReason("UniqueViolation", f)\` catches one reason, or several, and takes just these from the error channel's type: what is left is a
\`QueryErrorWithout<"UniqueViolation">\`, which \`catchTag("QueryError", ...)\` still catches. \`DbError.is("UniqueViolation")\` is the same as a guard for
\`Effect.catchIf\`, \`DbError.catchReasonStream\` for streams. \`Authorization\` and \`Unknown\` are reasons of two errors: \`"QueryError.Unknown"\` says which, and that
form, which metrics and spans have as \`error.type\`, serves for each reason. Phases count as reasons: \`"Lock"\`, \`"TimeoutError.Lock"\`. Inside a session's body, where
statements fail with \`SqlError\`, \`catchReason\` looks behind that, and the \`SqlError\` stays in the type. A guard by hand,
\`(error): error is DbError.QueryError => error.reason === "UniqueViolation"\`, takes *every* \`QueryError\` out of the type: the compiler believes it.

One code can be two reasons: as the end of a connection it is a \`ConnectionError\`, as the answer to a statement a \`QueryError\`.

## What one failed statement does to its transaction

On PostgreSQL a failed statement aborts the transaction: each further statement fails with \`TransactionAborted\`, and when the body swallows
the error, the transaction fails at its end with \`TransactionAborted\`, the first error as its cause. On SQLite, MySQL, MariaDB and SQL
Server only the statement is undone: a body that swallows the error commits the rest. (Deadlocks and serialization failures end the whole
transaction everywhere; SQL Server also ends it for some errors, such as a failed conversion.) A program that is to behave alike everywhere lets the error
leave the transaction, or puts the statement that may fail into a nested one (\`Db.transaction\` inside \`Db.transaction\`), which undoes only itself.

## ConnectionError

${section("ConnectionError", connectionReasons, outcomes.ConnectionError)}

## QueryError

${section("QueryError", queryReasons, outcomes.QueryError)}

## TimeoutError

${section("TimeoutError", timeoutPhases, outcomes.TimeoutError)}
`

if (argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("../docs/errors.md", import.meta.url), page)
}
