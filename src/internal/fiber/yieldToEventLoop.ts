/**
 * Turns of the event loop between pieces of work that are done at once.
 */
import * as Effect from "effect/Effect"
import type { Engine } from "../Engine.js"

/** The longest that work in this process keeps the event loop to itself, in milliseconds of real time. */
const maxBlockingMillis = 10

/**
 * Lets the event loop go on once in a while, where work is done without waiting for it: limits, sockets and signals would
 * otherwise wait for the end of it. By time, because rows are cheap and what is done with them may not be.
 */
export const yieldInTime = (): Effect.Effect<void> => {
  let since = performance.now()
  const pause = Effect.async<void>((resume) => {
    const immediate = setImmediate(() => {
      since = performance.now()
      resume(Effect.void)
    })
    return Effect.sync(() => clearImmediate(immediate))
  })
  return Effect.suspend(() => performance.now() - since < maxBlockingMillis ? Effect.void : pause)
}

/** The same, where the driver answers without waiting. */
export const yieldToEventLoop = (engine: Engine): Effect.Effect<void> =>
  engine.driver.capabilities.synchronous ? yieldInTime() : Effect.void
