/**
 * Stopping what runs on a connection: `KILL QUERY` on a link of its own.
 */
import * as Effect from "effect/Effect"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { classifyLink, type RawError } from "./codes.js"
import type { Exchange } from "./exchange.js"
import type { Endpoint, Link } from "./link.js"

/** No such thread: the connection, and with it the statement, is gone. */
const unknownThread = 1094

const kill = (endpoint: Endpoint, link: Link, id: number): Effect.Effect<void, ConnectionError> =>
  Effect.async<void, ConnectionError>((resume) => {
    link.raw.query(`KILL QUERY ${id}`, (error: RawError | null) => {
      resume(
        error === null || error.errno === unknownThread ? Effect.void : Effect.fail(classifyLink(error, {
          database: endpoint.config.name,
          where: `a statement on ${endpoint.where} could not be stopped`,
          outcome: "Unknown",
          otherwise: "Unknown"
        }))
      )
    })
  })

const finished = (exchange: Exchange): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (exchange.finished) return resume(Effect.void)
    exchange.whenFinished.push(() => resume(Effect.void))
  })

/** Any answer at all: an error is one, and a link that is gone cannot be hit. */
const answer = ({ raw, socket }: Link): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (socket.destroyed) return resume(Effect.void)
    raw.ping((error: RawError | null | undefined) => {
      // mysql2 tells the command alone of a loss. The connection has to know of it before it is used again.
      if (error?.fatal === true) raw.emit("error", error)
      resume(Effect.void)
    })
  })

/**
 * Ends when the exchange has ended and no `KILL QUERY` for it is under way. One that arrives before the server has begun
 * with the statement is without effect, so it is repeated.
 */
export const stop = (
  endpoint: Endpoint,
  connection: Link,
  id: number,
  exchange: Exchange
): Effect.Effect<void, ConnectionError | TimeoutError> =>
  Effect.acquireUseRelease(
    endpoint.link,
    (link) => {
      const loop = (wait: number): Effect.Effect<void, ConnectionError | TimeoutError> =>
        Effect.suspend(() =>
          exchange.finished ? Effect.void : Effect.zipRight(
            endpoint.within(kill(endpoint, link, id)),
            Effect.flatMap(
              Effect.timeoutOption(finished(exchange), wait),
              (ended) => ended._tag === "Some" ? Effect.void : loop(Math.min(wait * 2, 1000))
            )
          )
        )
      return loop(50)
    },
    (link) =>
      Effect.sync(() => {
        link.raw.end()
        // The close message has been sent. If the server does not close, the socket is destroyed anyway.
        setTimeout(() => link.socket.destroy(), 1000).unref()
      })
  ).pipe(
    // It ended by itself before anything was sent to stop it.
    Effect.catchAll((error) => exchange.finished ? Effect.void : Effect.fail(error)),
    // One answer after the last KILL QUERY: whatever that still could have hit, it has hit.
    Effect.zipRight(endpoint.within(answer(connection)))
  )
