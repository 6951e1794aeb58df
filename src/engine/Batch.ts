/**
 * A list of statements on their way through a session: together, where the driver takes more than one at a time.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { DbError } from "../DbError.js"
import type * as Driver from "../driver/Driver.js"
import { boundaryOf } from "./Boundary.js"
import { breathing } from "./Breath.js"
import type { Engine } from "./Engine.js"
import type { Frame } from "./Frame.js"
import { Job } from "./Job.js"
import { type AnyFiber, deadlineOf, isTraced } from "./Origin.js"
import { answer, asRows, makeRequest } from "./Sending.js"

/** A statement of a list: its text in the driver's dialect, and its parameters. */
export type Listed = readonly [text: string, params: ReadonlyArray<unknown>]

/** Whether these may travel together: nobody looks at each of them, and none of them can end the transaction. */
const together = (engine: Engine, fiber: AnyFiber, frame: Frame, list: ReadonlyArray<Listed>): boolean =>
  frame.session.connection.executeSome !== undefined && frame.session.onText === undefined && !engine.isWatched &&
  !isTraced(fiber) &&
  frame.options.readOnly !== true && list.every(([text]) => boundaryOf(text, engine.driver.dialect) === undefined)

/**
 * Runs the statements of a list in this frame, each when the one before it has succeeded. `undefined` where they have to be
 * run one by one.
 */
export const run = (
  engine: Engine,
  fiber: AnyFiber,
  frame: Frame,
  list: ReadonlyArray<Listed>,
  limit: number
): Effect.Effect<ReadonlyArray<unknown>, DbError> | undefined => {
  if (!together(engine, fiber, frame, list)) {
    return undefined
  }
  const { session } = frame
  const ask = { ...asRows, limit }
  const answers: Array<unknown> = []
  const breathe = breathing(engine)
  const journey = Effect.suspend(() => {
    const requests = list.slice(answers.length, answers.length + mostTogether)
      .map(([text, params]) => makeRequest(engine, fiber, text, params, ask))
    session.usedBy(fiber)
    return answer(engine, fiber, (resume) => {
      const job: Job = new Job(
        frame,
        "statement",
        requests[0],
        (connection, begin, done) =>
          // `together` has looked: a session keeps its connection.
          connection.executeSome!(begun(requests, begin), (error, some) => {
            job.statements = some.length + (error === undefined ? 0 : 1)
            done(error, some)
          }),
        resume,
        limit,
        deadlineOf(fiber)
      )
      job.fiber = fiber
      return job
    }, identity)
  })
  return Effect.as(
    Effect.whileLoop({
      while: () => answers.length < list.length,
      body: () => Effect.zipRight(breathe, journey),
      // That is what `executeSome` answers with.
      step: (some) => answers.push(...some as ReadonlyArray<unknown>)
    }),
    answers
  )
}

/** How many are looked at for one journey. */
const mostTogether = 256

const begun = (requests: ReadonlyArray<Driver.Request>, begin: string | undefined): ReadonlyArray<Driver.Request> =>
  begin === undefined ? requests : [{ ...requests[0]!, begin }, ...requests.slice(1)]
