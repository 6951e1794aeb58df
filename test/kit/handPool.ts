/**
 * A pool whose every step is the test's: what is opened, validated and closed is answered when the test says so, and time passes when
 * the test says so.
 *
 * - `handPool(settings?, capacity?)`: `pool`, and `opening`, `validating`, `closing` (what has no answer yet, the oldest first),
 *   `closed` (what the pool has asked to be closed, and how), `told` (opened, openFailed, leak, leakReturned), `lost` (connections
 *   that are gone), `kept` (entries that are meant to be held for long).
 * - `ask(options?)` waits for a connection: `entry` or `refused` when it has an answer. `open()`, `fail(error)`, `answer(alive)` and
 *   `done()` answer the oldest. `advance(millis)` lets time pass; the pool is woken when it has asked for that (`wakesAt`), and at no
 *   other time; `skip(millis)` lets time pass without waking it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as DbConfig from "../../src/DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../../src/DbError.js"
import { DeadlineTimer, type Fork } from "../../src/internal/pool/DeadlineTimer.js"
import { Pool } from "../../src/internal/pool/Pool.js"
import type { PoolEntry, Waiter } from "../../src/internal/pool/PoolEntry.js"
import { clockAt } from "./clock.js"
import { dbConfig } from "./dbConfig.js"
import { Steps } from "./steps.js"

/** Longer than anything here takes. */
export const ever = 1e12

/** No limit of the pool passes, only that of a waiter. */
export const unlimited: DbConfig.Pool = dbConfig({ type: "postgresql" }, {
  pool: {
    size: 2,
    overflow: 0,
    overflowIdle: ever,
    acquireTimeout: ever,
    connectTimeout: ever,
    validateAfter: ever,
    maxLifetime: 0,
    idleTimeout: 0,
    minIdle: 0,
    keepalive: 0,
    leakThreshold: 0,
    maxWaiters: 1000,
    resetOnReturn: "rollback",
    sharing: "off",
    sharingDepth: 128,
    closeTimeout: ever,
    shedding: undefined
  }
}).pool

export interface Asked extends Waiter<string> {
  entry: PoolEntry<string> | undefined
  refused: DbError | undefined
}

export const handPool = (
  options: Partial<DbConfig.Pool> = {},
  { random = (): number => 0, reserved = 0, retries = 0, stoppable = true } = {}
) => {
  const settings = { ...unlimited, ...options }
  const steps = new Steps()
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>()
  let now = 1000
  let connections = 0
  const opening: Array<(result: Effect.Effect<string, ConnectionError>) => void> = []
  const validating: Array<{ readonly connection: string; readonly answer: (alive: boolean) => void }> = []
  const closing: Array<{ readonly connection: string; readonly done: () => void }> = []
  const closed: Array<string> = []
  const told: Array<string> = []
  const lost = new Set<string>()
  const kept = new Set<PoolEntry<string>>()

  const clock = clockAt(() => now, (duration) =>
    Effect.async<void>((resume) => {
      const sleeper = { at: now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      sleepers.add(sleeper)
      return Effect.sync(() => sleepers.delete(sleeper))
    }))
  const fork: Fork = (effect) => steps.fork(Effect.withClock(effect, clock))
  const settle = () => steps.run()
  const open = Effect.async<string, ConnectionError>((resume) => {
    opening.push(resume)
    return Effect.sync(() => told.push("stopped"))
  })
  const timer = new DeadlineTimer(clock, fork, (at) => pool.expire(at))
  const pool: Pool<string> = new Pool<string>(
    "orders",
    settings,
    { size: settings.size, total: settings.size + settings.overflow, reserved },
    {
      open: stoppable ? open : Effect.uninterruptible(open),
      openSchedule: Schedule.recurs(retries),
      isLost: (connection) => lost.has(connection),
      validate: (connection, answer) => validating.push({ connection, answer }),
      close: (connection, graceful, done) => {
        closed.push(graceful ? connection : `${connection} dropped`)
        closing.push({ connection, done })
      },
      onOpened: (entry, millis) => told.push(`opened ${entry.id} in ${millis}`),
      onOpenFailed: (error) => told.push(`openFailed ${error.reason}`),
      isKept: (entry) => kept.has(entry),
      onLeak: (entry, holder) => told.push(`leak ${entry.id} by ${holder.fiber} for ${holder.heldForMillis}`),
      onLeakReturned: (entry, heldFor) => told.push(`leakReturned ${entry.id} after ${heldFor}`)
    },
    { clock, timer, fork, random }
  )

  const ask = (more: Partial<Waiter<string>> & { readonly limit?: number } = {}): Asked => {
    const limit = more.limit ?? ever
    const asked: Asked = {
      links: undefined,
      waitingSince: 0,
      waitDeadline: now + limit,
      waitLimit: limit,
      reserved: false,
      failFast: false,
      holds: () => false,
      ...more,
      entry: undefined,
      refused: undefined,
      onEntry: (entry) => {
        asked.entry = entry
      },
      onRefused: (error) => {
        asked.refused = error
      }
    }
    pool.acquire(asked)
    settle()
    return asked
  }

  return {
    pool,
    opening,
    validating,
    closing,
    closed,
    told,
    lost,
    kept,
    ask,
    settle,
    timer,
    get now() {
      return now
    },
    /** When the pool is woken next; `undefined` where it is not. */
    get wakesAt() {
      return [...sleepers].map(({ at }) => at).sort((a, b) => a - b)[0]
    },
    /** Lets time pass in which the process is busy, so that nothing is woken. */
    skip: (millis: number) => {
      now += millis
    },
    run: <A>(effect: Effect.Effect<A, ConnectionError | TimeoutError>): Fiber.RuntimeFiber<A, unknown> => {
      const fiber = fork(effect)
      settle()
      return fiber
    },
    open: () => {
      opening.shift()!(Effect.succeed(`c${++connections}`))
      settle()
    },
    fail: (error: ConnectionError) => {
      opening.shift()!(Effect.fail(error))
      settle()
    },
    answer: (alive: boolean) => {
      validating.shift()!.answer(alive)
      settle()
    },
    done: () => {
      closing.shift()!.done()
      settle()
    },
    /** One connection, lent. */
    lent: () => {
      const asked = ask()
      if (asked.entry === undefined) {
        opening.shift()!(Effect.succeed(`c${++connections}`))
        settle()
      }
      return asked.entry!
    },
    advance: (millis: number) => {
      const until = now + millis
      for (;;) {
        settle()
        const next = [...sleepers].sort((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > until) break
        now = Math.max(now, next.at)
        sleepers.delete(next)
        next.wake()
      }
      now = until
    }
  }
}
