/**
 * The pools of the last ten minutes, for the chart of the status page: a sample every two seconds, taken by a fiber of the
 * routes' scope, so that no statement does anything for it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Databases, Watched } from "./databases.js"
import type { PoolSample } from "./page/report.js"

/** In milliseconds. */
const interval = 2_000
const remembered = 600_000

/** So many samples of a database, and never more. */
const kept = remembered / interval

export interface History {
  /** The samples of a database that were taken after this time, the oldest first; none is older than ten minutes. */
  readonly since: (database: Watched, time: number) => Effect.Effect<ReadonlyArray<PoolSample>>
}

/** Begins to take samples, until the scope closes. A database that is not open has none, and is not opened for one. */
export const make = ({ all }: Databases): Effect.Effect<History, never, Scope.Scope> =>
  Effect.gen(function*() {
    const samples = new Map(all.map((database) => [database, [] as Array<PoolSample>]))
    const sample = Effect.flatMap(Clock.currentTimeMillis, (at) =>
      Effect.forEach(samples, ([database, own]) =>
        Effect.map(database.pool, (pool) => {
          if (pool === undefined) {
            return
          }
          const { capacity, idle, inUse, waiting } = pool
          own.push({ at, capacity, inUse, idle, waiting })
          if (own.length > kept) {
            own.shift()
          }
        }), { discard: true }))
    // Layers are built where interruption is masked, which the fiber must not inherit.
    yield* Effect.forkScoped(Effect.interruptible(Effect.repeat(sample, Schedule.spaced(interval))))
    return {
      since: (database, time) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const after = Math.max(time, now - remembered)
          return samples.get(database)?.filter(({ at }) =>
            at > after
          ) ?? []
        })
    }
  })
