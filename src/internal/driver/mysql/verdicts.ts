/**
 * What is told of a request that did not end well, where the server's answer alone does not say it.
 */
import type { ConnectionError, DbError, Outcome } from "../../../DbError.js"
import { withFields } from "../../error/classes.js"
import type { Mentioned } from "../../error/parameter.js"
import { failure, keptLimit } from "../failure.js"
import { Inexact } from "../JsonText.js"
import { classify, type RawError } from "./codes.js"
import type { Exchange } from "./exchange.js"
import type { Endpoint } from "./link.js"
import type { Limits } from "./settings.js"

/** The connection on which it happened. */
type Place = Pick<Endpoint, "config" | "where">

/** A text that would be taken for other text. */
export const characterSet = ({ config }: Place, exchange: Exchange, charset: string): DbError =>
  failure({
    _tag: "QueryError",
    reason: "DataError",
    database: config.name,
    statement: exchange.text,
    what: `the character set was set to ${charset}, which cannot hold every text`,
    advice: "leave the character set alone: SET NAMES utf8mb4",
    outcome: "NotSent"
  })

/** More bytes than the server takes. */
export const tooLarge = ({ config }: Place, exchange: Exchange, limit: number): DbError =>
  failure({
    _tag: "QueryError",
    reason: "DataError",
    database: config.name,
    statement: exchange.text,
    what: `the statement with its parameters is larger than the server takes (${limit} bytes)`,
    advice: "send it in parts, or raise max_allowed_packet on the server",
    outcome: "NotSent"
  })

/** A parameter that is not sent. */
export const parameter = (
  { config }: Place,
  exchange: Exchange,
  said: { readonly what: string; readonly parameter?: Mentioned | undefined },
  advice: string
): DbError =>
  failure({
    _tag: "QueryError",
    reason: "Parameter",
    database: config.name,
    statement: exchange.statement,
    ...said,
    advice,
    outcome: exchange.applied ? "Unknown" : "NotSent"
  })

/** Another number of parameters than the statement has placeholders. */
export const miscounted = (place: Place, exchange: Exchange, expected: number, given: number): DbError =>
  parameter(
    place,
    exchange,
    { what: `the statement has ${expected} placeholders, and ${given} parameters came with it` },
    "give one parameter for each ?"
  )

/** A statement that has run, with an answer that is not read otherwise than it is. */
export const unreadable = ({ config }: Place, exchange: Exchange, cause: unknown): DbError =>
  failure({
    _tag: "QueryError",
    reason: "DataError",
    database: config.name,
    statement: exchange.statement,
    what: cause instanceof Inexact
      ? `a value of the answer is ${cause.message}`
      : "a value of the answer could not be read",
    outcome: "Unknown",
    cause
  })

/**
 * A statement that the server has refused.
 *
 * @param limits what is in force
 * @param isForeign whether the program may have set others
 */
export const refused = (
  { config }: Place,
  exchange: Exchange,
  error: RawError,
  limits: Limits | undefined,
  isForeign: boolean
): DbError => {
  const place = { database: config.name, statement: exchange.statement }
  // The number of a KILL QUERY, by which the driver keeps its limit.
  if (exchange.timedOut && error.errno === 1317) {
    return failure({
      _tag: "TimeoutError",
      phase: "Statement",
      limitMillis: exchange.limit,
      ...place,
      what: error.message,
      outcome: exchange.mayBeApplied ? "Unknown" : "RolledBack",
      code: error.errno,
      cause: error
    })
  }
  const hasRun = exchange.phase === "run"
  const ranMillis = performance.now() - exchange.sentAt
  return classify(error, {
    ...place,
    commit: hasRun && exchange.traits.commit,
    note: exchange.applied && exchange.part !== undefined
      ? `statement ${exchange.part.number} of the ${exchange.part.of} of its text; those before it have run`
      : undefined,
    outcome: exchange.mayBeApplied ? "Unknown" : hasRun || exchange.inTransaction ? undefined : "NotSent",
    statementTimeout: keptLimit(limits?.statement ?? 0, ranMillis, isForeign),
    lockTimeout: keptLimit(limits?.rowLock ?? 0, ranMillis, isForeign)
  })
}

/** Of what these say the server itself ends the transaction, and undoes it. */
const isUndoing = (error: DbError): boolean =>
  error._tag === "TimeoutError" || (error._tag === "QueryError" && error.reason === "Deadlock")

/** A statement that failed, and whose transaction is over: a stored program may have committed it before it failed. */
export const ended = ({ inTransaction: isInTransaction, traits }: Exchange, error: DbError): DbError =>
  isInTransaction && traits.runsProgram && !isUndoing(error) ? withFields(error, { outcome: "Unknown" }) : error

/** What is known of a request whose link broke. */
export const lostOutcome = (exchange: Exchange): Outcome | "COMMIT" => {
  const { inTransaction: isInTransaction, traits } = exchange
  const hasRun = exchange.phase === "run" || exchange.applied
  if (hasRun && traits.commit) return "COMMIT"
  const isHarmless = !hasRun || (isInTransaction ? traits.transactional : traits.control && traits.boundary)
  return isHarmless ? isInTransaction ? "RolledBack" : "NotSent" : "Unknown"
}

/** A request that was stopped. */
export const stopped = ({ config }: Place, exchange: Exchange): DbError =>
  failure({
    _tag: "QueryError",
    reason: "Unknown",
    database: config.name,
    statement: exchange.text,
    what: "the statement was stopped",
    advice: "run it again if it is still wanted",
    outcome: exchange.mayBeApplied
      ? "Unknown"
      : exchange.inTransaction || exchange.phase === "run"
      ? "RolledBack"
      : "NotSent"
  })

/** A cancel that could not be delivered. */
export const notStopped = ({ config, where }: Place, cause: unknown): ConnectionError =>
  failure({
    _tag: "ConnectionError",
    reason: "Unknown",
    database: config.name,
    what: `a statement on ${where} could not be stopped`,
    outcome: "Unknown",
    cause
  })

/**
 * A reset that cannot make the connection as it was: its database was chosen by USE, where the configuration has none, and
 * MySQL cannot go back to that.
 */
export const hasDatabase = ({ config }: Place): ConnectionError =>
  failure({
    _tag: "ConnectionError",
    reason: "Unsupported",
    database: config.name,
    what: "a connection without a database cannot leave the one it was given by USE",
    outcome: "NotSent"
  })
