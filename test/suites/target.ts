/**
 * What a conformance suite has to know of a database beyond its layer. A new driver adds one target and gets every suite.
 */
import type { SqlClient } from "@effect/sql/SqlClient"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import { HeldClock } from "../kit/heldClock.js"

export interface Target {
  readonly name: string
  /** A suite that needs this database; skipped, with the reason in its name, where there is none. */
  readonly describe: (name: string, body: () => void) => void
  /** Options of an empty database of one's own, which ends with the scope. */
  readonly fresh: Effect.Effect<DbConfig.Options, never, Scope.Scope>
  /** Words of the dialect. */
  readonly sql: {
    /** A column that numbers its rows. */
    readonly id: string
    readonly text: string
    readonly bigint: string
    /** Whether the database can be asked what became of a COMMIT. */
    readonly resolvesCommits?: boolean
    /** A name that the database's client library refuses for a column. */
    readonly refusedName?: string
    /** The dialect's BEGIN, where it is not that. */
    readonly begin?: string
    /** A query of `n` rows with one column `x`, from 1. */
    readonly series: (n: number) => string
    /** A statement that keeps the server busy for longer than any test waits, where it can be stopped. */
    readonly endless: string | undefined
    /**
     * State of a session that the next borrower would see: `change` changes it, `read` reads it as column `v`, and `initial` is what
     * a new connection reads, or the reason of its error.
     */
    readonly sessionState: ReadonlyArray<{ readonly change: string; readonly read: string; readonly initial: unknown }>
    /** Nothing of a session lasts, so that what would is refused, and migrations too: their lock would. */
    readonly sessionless?: boolean
    /** A table whose foreign key is checked at COMMIT only. */
    readonly deferred: { readonly parent: string; readonly child: string; readonly insert: string } | undefined
  }
  /** One transaction writes at a time, and others wait for it. */
  readonly singleWriter?: boolean
  /** A statement outside of a session may have to wait for the session's end: for its locks, or for one of few connections. */
  readonly outsideWaits?: boolean
  /** How many connections of ours the server knows; `undefined` where it cannot be asked. */
  readonly connections: ((options: DbConfig.Options) => Effect.Effect<number>) | undefined
}

type Body = Effect.Effect<unknown, unknown, Db | SqlClient | Scope.Scope>

const onDatabase = (target: Target, body: Body, options: DbConfig.Options = {}) =>
  Effect.flatMap(target.fresh, (fresh) =>
    Effect.provide(
      body,
      Db.layer({
        // The presets of a test worker commit what is left open; what is promised is production's.
        environment: "production",
        ...fresh,
        ...options,
        pool: { size: 4, overflow: 0, acquireTimeout: "5 seconds", ...fresh.pool, ...options.pool }
      })
    ))

/** Runs a test on a fresh database, in real time. */
export const test = (
  target: Target,
  name: string,
  body: Body,
  options: DbConfig.Options = {},
  timeout = 30_000
): void => {
  it.scopedLive(name, () => onDatabase(target, body, options), timeout)
}

/** Runs a test on a fresh database, in time that stands still until the test has it run. */
export const heldTest = (
  target: Target,
  name: string,
  body: (time: HeldClock) => Body,
  options: DbConfig.Options = {}
): void => {
  it.scopedLive(name, () => {
    const time = new HeldClock()
    // What ends the test is to go on.
    return Effect.withClock(onDatabase(target, Effect.ensuring(body(time), time.run()), options), time)
  })
}

export { describe }
