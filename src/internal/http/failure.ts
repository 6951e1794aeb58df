/**
 * What a client is told of a failure of the database: a status, a fixed sentence, and whether asking again may help. Never
 * the error's own words: they hold statements, names of hosts and what the server said. Those go to the log.
 */
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import {
  type ConnectionReason,
  type DbError,
  fromSqlError,
  isDbError,
  isRetryable,
  type QueryReason,
  type TimeoutPhase
} from "../../DbError.js"
import { errorType } from "../../DbMetrics.js"

/** One way to answer. */
interface Answer {
  readonly status: number
  /** In seconds; said only where nothing was applied and the reason may pass. */
  readonly retryAfter?: number
  readonly title: string
}

const answers = {
  unavailable: { status: 503, retryAfter: 1, title: "The database is not available at the moment." },
  busy: { status: 503, retryAfter: 1, title: "The database is busy." },
  slow: { status: 503, title: "The database did not answer in time." },
  contended: { status: 409, retryAfter: 1, title: "Another request changed the same data at the same moment." },
  missing: { status: 404, title: "There is nothing by this name." },
  conflict: { status: 409, title: "This conflicts with data that is there already." },
  fault: { status: 500, title: "The request failed." },
  unknown: { status: 500, title: "It is not known whether the request was carried out. Look before you send it again." }
} satisfies Record<string, Answer>

type Name = keyof typeof answers

const connection: { readonly [R in ConnectionReason]: Name } = {
  Refused: "unavailable",
  HostNotFound: "unavailable",
  Unreachable: "unavailable",
  Authentication: "fault",
  Authorization: "fault",
  UnknownDatabase: "fault",
  Tls: "fault",
  TooManyConnections: "busy",
  ServerStarting: "unavailable",
  ServerShutdown: "unavailable",
  Lost: "unavailable",
  Closed: "unavailable",
  Overloaded: "busy",
  ReadOnlyServer: "unavailable",
  StaleTimeline: "unavailable",
  NoReplica: "unavailable",
  Unsupported: "fault",
  CannotOpen: "fault",
  NotADatabase: "fault",
  Unknown: "fault"
}

const query: { readonly [R in QueryReason]: Name } = {
  SqlSyntax: "fault",
  UndefinedObject: "fault",
  UniqueViolation: "conflict",
  ForeignKeyViolation: "conflict",
  NotNullViolation: "fault",
  CheckViolation: "fault",
  ExclusionViolation: "conflict",
  DataError: "fault",
  Authorization: "fault",
  ReadOnly: "fault",
  Deadlock: "contended",
  Serialization: "contended",
  LockConflict: "contended",
  TransactionAborted: "fault",
  DiskFull: "fault",
  OutOfMemory: "busy",
  CommitUnknown: "unknown",
  SqlFile: "fault",
  Parameter: "fault",
  NotFound: "missing",
  TooMany: "fault",
  Unknown: "fault"
}

const timeout: { readonly [P in TimeoutPhase]: Name } = {
  Connect: "unavailable",
  Acquire: "busy",
  Statement: "slow",
  Lock: "contended",
  IdleInTransaction: "fault",
  Transaction: "slow",
  Close: "unavailable"
}

const answerTo = (error: DbError): Answer => {
  if (error.outcome === "Unknown") {
    return answers.unknown
  }
  switch (error._tag) {
    case "ConnectionError":
      return answers[connection[error.reason]]
    case "QueryError":
      return answers[query[error.reason]]
    case "TimeoutError":
      return answers[timeout[error.phase]]
  }
}

/** A response in the form of RFC 9457, "Problem Details for HTTP APIs". */
export const problem = (
  status: number,
  title: string,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly more?: object } = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson({ status, title, ...options.more }, {
    status,
    contentType: "application/problem+json",
    headers: { "cache-control": "no-store", ...options.headers }
  })

/** The response to a failure of the database. */
export const response = (error: DbError): HttpServerResponse.HttpServerResponse => {
  const { retryAfter, status, title } = answerTo(error)
  // To send it again must neither apply it twice nor be in vain.
  return problem(
    status,
    title,
    retryAfter === undefined || !isRetryable(error) ? {} : { headers: { "retry-after": String(retryAfter) } }
  )
}

const typed = (error: unknown, database: string): Option.Option<DbError> =>
  isDbError(error)
    ? Option.some(error)
    : error instanceof SqlError
    ? Option.some(fromSqlError(error, database))
    : Option.none()

/**
 * The failure of a database in a cause: also one that was made a defect, which is the only way through handlers whose
 * errors are declared elsewhere. None in the cause of a client that has disconnected: there is no response to send.
 */
const failureIn = (cause: Cause.Cause<unknown>, database: string): Option.Option<DbError> =>
  Cause.isInterrupted(cause)
    ? Option.none()
    : Option.match(Cause.failureOption(cause), {
      onSome: (error) => typed(error, database),
      onNone: () => Option.flatMap(Cause.dieOption(cause), (defect) => typed(defect, database))
    })

/** Answers the failures of a database, and logs them, because the answer does not tell. */
export const answered = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  database: string
): Effect.Effect<A | HttpServerResponse.HttpServerResponse, Exclude<E, DbError | SqlError>, R> =>
  Effect.catchAllCause(effect, (cause) =>
    Option.match(failureIn(cause, database), {
      // The cause holds none of the excluded ones: those were found.
      onNone: () => Effect.failCause(cause as Cause.Cause<Exclude<E, DbError | SqlError>>),
      onSome: (error) => {
        const answer = response(error)
        const log = answer.status >= 500 ? Effect.logError : Effect.logInfo
        return Effect.as(
          Effect.annotateLogs(log("a request failed in the database", Cause.fail(error)), {
            database: error.database,
            "error.type": errorType(error),
            outcome: error.outcome,
            "http.status": answer.status
          }),
          answer
        )
      }
    }))
