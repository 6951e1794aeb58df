/**
 * What a statement, a session and a transaction are made of in the process, by count: operations of the fiber, further fibers, timers,
 * look-ups of metrics. No time is measured. The figures are what they are now. A change that lowers one lowers it here too; one that
 * raises it shows here what it costs.
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as RuntimeFlagsPatch from "effect/RuntimeFlagsPatch"
import * as Supervisor from "effect/Supervisor"
import { Db } from "../../src/Db.js"
import { onPostgres, optionsFor } from "../time/onPostgres.js"
import { one, select, transaction } from "./effects.js"

/** Counts what fibers do while it is asked to. */
class Counting extends Supervisor.AbstractSupervisor<void> {
  operations = 0
  fibers = 0
  override readonly value = Effect.void
  override onStart(): void {
    this.fibers++
  }
  override onEffect(): void {
    this.operations++
  }
}

describe("in the process", () => {
  /** Sleeps that the engine, and other code on its clock, has asked for. */
  const makeClock = () => {
    const clock = Clock.make()
    const counted = {
      sleeps: 0,
      clock: {
        ...clock,
        // A clock's members use `this`.
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        sleep: (duration: Parameters<typeof clock.sleep>[0]) => {
          counted.sleeps++
          return clock.sleep(duration)
        }
      }
    }
    return counted
  }

  /** What one run of the effect takes: the mean of 100, since now and then a fiber gives way to others. */
  const weigh = <A, E>(effect: Effect.Effect<A, E, Db | SqlClient.SqlClient>) =>
    onPostgres({}, (server) => {
      const time = makeClock()
      const supervisor = new Counting()
      let lookups = 0
      const registry = Metric.globalMetricRegistry
      const get = registry.get
      const measured = Effect.gen(function*() {
        yield* Effect.repeatN(effect, 4)
        supervisor.operations = 0
        supervisor.fibers = 0
        time.sleeps = 0
        // A method of the one registry of the process, put back below.
        registry.get = ((key: never) => {
          lookups++
          return get.call(registry, key)
        }) as typeof registry.get
        for (let i = 0; i < 100; i++) {
          yield* effect
        }
        return {
          operations: Math.floor(supervisor.operations / 100),
          fibers: supervisor.fibers,
          sleeps: time.sleeps,
          lookups
        }
      }).pipe(
        Effect.ensuring(Effect.sync(() => {
          registry.get = get
        }))
      )
      return Effect.provide(
        Effect.zipRight(server.ask("CREATE TABLE t (n int)"), measured),
        Layer.provide(
          Db.layer(optionsFor(server, { pool: { ...one, validateAfter: 60_000 } })),
          Layer.setClock(time.clock)
        )
      ).pipe(
        // The engine's own fibers are supervised too.
        Effect.supervised(supervisor),
        Effect.withRuntimeFlagsPatch(RuntimeFlagsPatch.enable(RuntimeFlags.OpSupervision))
      )
    })

  const isLight = <A, E>(effect: Effect.Effect<A, E, Db | SqlClient.SqlClient>, operations: number) =>
    Effect.map(weigh(effect), (found) => {
      assert.deepInclude(found, { fibers: 0, sleeps: 0, lookups: 0 })
      assert.isAtMost(found.operations, operations)
    })

  it.scopedLive("a statement: 15 operations, no fiber, no timer, no look-up of a metric", () => isLight(select, 15))

  it.scopedLive("a session: 9 operations, and no more than that", () => isLight(Db.session(Effect.void), 9))

  it.scopedLive("a transaction of three statements: 61 operations, and no more than that", () =>
    isLight(transaction, 61))
})
