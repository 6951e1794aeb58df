/**
 * Runs a list of statements in a session: together, where the driver takes more than one at a time.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { isTraced } from "../effect/context.js"
import type { Engine } from "../Engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import { deadlineOf } from "../fiber/fiberContext.js"
import { yieldToEventLoop } from "../fiber/yieldToEventLoop.js"
import type { SessionLevel } from "../session/Session.js"
import { classify } from "../sql/classify.js"
import { answer, asRows, ExecuteOptions, makeRequest, shown } from "./execute.js"
import { SessionRequest } from "./Request.js"

/** A statement of a list: its text in the driver's dialect, and its parameters. */
export type Listed = readonly [text: string, params: ReadonlyArray<unknown>]

/** Whether these may be sent together: no hook or tracer looks at each of them, and none can end the transaction. */
const together = (engine: Engine, fiber: AnyFiber, level: SessionLevel, list: ReadonlyArray<Listed>): boolean =>
  level.session.connection.executeSome !== undefined && level.session.queue.onText === undefined && !engine.isWatched &&
  !isTraced(fiber) &&
  level.options.readOnly !== true && list.every(([text]) => classify(text, engine.driver.dialect).end === undefined)

/**
 * Runs the statements of a list in this level, each when the one before it has succeeded. `undefined` where they have to be
 * run one by one.
 */
export const run = (
  engine: Engine,
  fiber: AnyFiber,
  level: SessionLevel,
  list: ReadonlyArray<Listed>,
  limit: number
): Effect.Effect<ReadonlyArray<unknown>, DbError> | undefined => {
  if (!together(engine, fiber, level, list)) {
    return undefined
  }
  const { session } = level
  const ask = new ExecuteOptions(asRows, limit)
  const answers: Array<unknown> = []
  const yieldNow = yieldToEventLoop(engine)
  const journey = Effect.suspend(() => {
    const requests = list.slice(answers.length, answers.length + mostTogether)
      .map(([text, params]) => makeRequest(engine, fiber, text, params, ask))
    return answer(engine, fiber, (resume) => {
      const request: SessionRequest = new SessionRequest(
        session.queue,
        level,
        "statement",
        requests[0],
        shown(engine, fiber, level, resume),
        // The server keeps the limit of each; for all of them together it is as often as long.
        engine.driver.capabilities.serverLimits ? limit * requests.length : limit,
        deadlineOf(fiber),
        (connection, begin, done) =>
          // `together` has looked: a session keeps its connection.
          connection.executeSome!(begun(requests, begin), (error, some) => {
            request.statements = some.length + (error === undefined ? 0 : 1)
            done(error, some)
          })
      )
      request.fiber = fiber
      return request
    }, identity)
  })
  return Effect.as(
    Effect.whileLoop({
      while: () => answers.length < list.length,
      body: () => Effect.zipRight(yieldNow, journey),
      // That is what `executeSome` answers with.
      step: (some) => answers.push(...some as ReadonlyArray<unknown>)
    }),
    answers
  )
}

/** How many are looked at for one round trip. */
const mostTogether = 256

const begun = (requests: ReadonlyArray<Driver.Request>, begin: string | undefined): ReadonlyArray<Driver.Request> =>
  begin === undefined ? requests : [{ ...requests[0]!, begin }, ...requests.slice(1)]
