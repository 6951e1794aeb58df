/**
 * What is told of a request that did not end well, where the server's answer alone does not say it.
 */
import type { DbConfig } from "../../../DbConfig.js"
import type { DbError, Outcome } from "../../../DbError.js"
import type { TransactionStatus } from "../../../driver/Driver.js"
import type { Mentioned } from "../../error/parameter.js"
import { failure } from "../failure.js"
import type { Exchange } from "./exchange.js"
import { mostParameters } from "./values.js"

/** Whether all that the request did is undone with its transaction. */
const isUndone = (exchange: Exchange): boolean => exchange.inTransaction && exchange.traits.transactional

/** A statement that may write, where only reads are allowed. */
export const readOnly = (config: DbConfig, text: string): DbError =>
  failure({
    _tag: "QueryError",
    reason: "ReadOnly",
    database: config.name,
    statement: text,
    what: config.access === "read-only"
      ? "the configuration asks for access read-only, and the statement may write"
      : "the transaction is read-only, and the statement may write",
    outcome: "NotSent"
  })

/** A parameter that is not sent. */
export const parameter = (
  config: DbConfig,
  exchange: Exchange,
  said: { readonly what: string; readonly parameter?: Mentioned | undefined },
  advice?: string
): DbError =>
  failure({
    _tag: "QueryError",
    reason: "Parameter",
    database: config.name,
    statement: exchange.text,
    ...said,
    outcome: "NotSent",
    ...(advice === undefined ? {} : { advice })
  })

/** More parameters than the server takes. */
export const tooMany = (config: DbConfig, exchange: Exchange, count: number): DbError =>
  parameter(
    config,
    exchange,
    { what: `the statement has ${count} parameters, and SQL Server takes ${mostParameters} at the most` },
    "send it in parts, or the values as one parameter: JSON, read by OPENJSON"
  )

/**
 * The outcome of a request that the server answered with an error, where more is known than the error's number says.
 *
 * @param status how the transaction stands since
 */
export const outcomeOf = (exchange: Exchange, status: TransactionStatus): Outcome | undefined => {
  if (!exchange.sent) return exchange.inTransaction ? undefined : "NotSent"
  // A procedure has committed it before it failed.
  if (exchange.inTransaction && status === "idle" && !exchange.isRolledBack) return "Unknown"
  // Of several statements without a transaction those stay that did not fail.
  return !isUndone(exchange) && exchange.counted > 0 ? "Unknown" : undefined
}

/** What is known of a request whose link broke: with the link the server ends the transaction. */
export const lostOutcome = (exchange: Exchange): Outcome | "COMMIT" =>
  exchange.sent && exchange.traits.commit
    ? "COMMIT"
    : isUndone(exchange)
    ? "RolledBack"
    : exchange.sent
    ? "Unknown"
    : "NotSent"

/**
 * A request that was stopped by a cancel, or by its limit. What the server did before the attention reached it, it does
 * not say.
 */
export const stopped = (config: DbConfig, exchange: Exchange): DbError => {
  const outcome = !exchange.sent && !exchange.inTransaction
    ? "NotSent"
    : !exchange.sent || isUndone(exchange) || exchange.traits.reads
    ? "RolledBack"
    : "Unknown"
  const parts = { database: config.name, statement: exchange.text, outcome } as const
  return exchange.timedOut
    ? failure({
      _tag: "TimeoutError",
      phase: "Statement",
      limitMillis: exchange.limit,
      ...parts,
      what: "the statement ran into its limit and was stopped"
    })
    : failure({
      _tag: "QueryError",
      reason: "Unknown",
      ...parts,
      what: "the statement was stopped",
      advice: "run it again if it is still wanted"
    })
}
