/**
 * What a test layer sees of the code under test: its statements, and whether it has released its connections.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Database } from "../../Db.js"
import type { Holder } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { engineOf, isDatabase } from "../database/Database.js"
import type { Engine } from "../Engine.js"
import { decorate, Delegate, isControl, wrapConnections } from "./decorate.js"
import { currentTest, load, type Test } from "./vitest.js"

/**
 * A statement that was sent to a database.
 *
 * @since 0.1.0
 * @category models
 */
export interface RecordedStatement {
  readonly text: string
  readonly params: ReadonlyArray<unknown>
  /** `control`: it begins, ends or divides a transaction. */
  readonly kind: "query" | "control"
  /** The connection's own id. */
  readonly connection: number
}

/** Statements that are kept; older ones are dropped. */
const mostKept = 10_000

/** How long what is being given back just now is waited for, in milliseconds of real time, and how often it is looked. */
const grace = 200
const glance = 10

/** How long the closing of connections that are not in use may take, in milliseconds. */
const closeTimeout = 1_000

const WatchId: unique symbol = Symbol.for("dblive/DbTest/Watch")

const listOf = (holders: ReadonlyArray<Holder>): string =>
  holders.map((holder) =>
    `\n  held by ${holder.span === undefined ? "" : `${holder.span}, `}fiber ${holder.fiber} for ` +
    `${holder.heldForMillis} ms, ${holder.state}` +
    (holder.statement === undefined ? "" : ` (last statement: ${holder.statement})`)
  ).join("")

/**
 * Connections were not given back at the end of a test: the error that fails it.
 *
 * @since 0.1.0
 * @category errors
 */
export class LeakError extends Error {
  override readonly name = "LeakError"
  constructor(readonly database: string, readonly holders: ReadonlyArray<Holder>) {
    const count = holders.length === 1 ? "1 connection was" : `${holders.length} connections were`
    super(
      `database "${database}": ${count} not given back at the end of the test.${listOf(holders)}\n` +
        "Close scopes, and join or interrupt forked fibers, before the test ends. (In it.scoped the test's scope closes " +
        "after a layer that is provided inside: put Effect.scoped before Effect.provide)"
    )
  }
}

export class Watch {
  readonly statements: Array<RecordedStatement> = []
  /** All that were sent, dropped ones among them. */
  total = 0
  engine: Engine | undefined = undefined
  /** Tests that sent a statement. */
  readonly tests = new Set<Test>()
  /** Connections that are in use outside of any test, by their ids. */
  private held = new Set<number>()

  record(driver: Driver.Driver, connection: number, request: Driver.Request): void {
    if (request.begin !== undefined) {
      this.add({ text: request.begin, params: [], kind: "control", connection })
    }
    const { params, text } = request
    this.add({ text, params, kind: isControl(driver, text) ? "control" : "query", connection })
    this.attend(connection)
  }

  /** From here on it is the test's doing: what prepared the database does not count. */
  begin(engine: Engine): void {
    this.engine = engine
    this.statements.length = 0
    this.held = new Set(inUseNow(engine))
  }

  private add(statement: RecordedStatement): void {
    this.total++
    this.statements.push(statement)
    if (this.statements.length > mostKept) {
      this.statements.shift()
    }
  }

  /** Those after the first `total` ones. */
  since(total: number): ReadonlyArray<RecordedStatement> {
    const count = this.total - total
    return count === 0 ? [] : this.statements.slice(-count)
  }

  /** A layer that several tests share is looked at after each of them. */
  private attend(connection: number): void {
    const { engine } = this
    if (engine === undefined) {
      return
    }
    const test = currentTest()
    if (test === undefined) {
      // A hook of a suite may hold what it borrows for longer than a test.
      this.held.add(connection)
      return
    }
    if (this.tests.has(test)) {
      return
    }
    this.tests.add(test)
    const now = inUseNow(engine)
    const before = new Set([...this.held].filter((id) => now.has(id)))
    try {
      test.context.onTestFinished(() =>
        Effect.runPromise(Effect.ensuring(
          checked(engine, before),
          // Reported once.
          Effect.sync(() => this.held = new Set(inUseNow(engine)))
        ))
      )
    } catch {
      // The test is over; its layer is looked at when it closes.
    }
  }

  get hasFailedTest(): boolean {
    return [...this.tests].some((test) => test.result?.state === "fail")
  }
}

/** Ids of the connections in use. */
export const inUseNow = (engine: Engine): ReadonlySet<number> => {
  const ids = new Set<number>()
  for (const entry of engine.pool.entries) {
    if (entry.state === "inUse") {
      ids.add(entry.connection.id)
    }
  }
  return ids
}

const leaks = (engine: Engine, before: ReadonlySet<number>): ReadonlyArray<Holder> => {
  const now = engine.clock.unsafeCurrentTimeMillis()
  const holders: Array<Holder> = []
  for (const entry of engine.pool.entries) {
    if (entry.state === "inUse" && entry.borrower !== undefined && !before.has(entry.connection.id)) {
      holders.push(entry.borrower.describe(now))
    }
  }
  return holders
}

/** In real time: the clock of a test may stand still. */
const pause = Effect.async<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), glance)
  return Effect.sync(() => clearTimeout(timer))
})

/** Dies with a {@link LeakError} when connections are in use that were not in use before. */
export const checked = (engine: Engine, before: ReadonlySet<number>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const until = performance.now() + grace
    const look: Effect.Effect<void> = Effect.suspend(() => {
      const holders = leaks(engine, before)
      return holders.length === 0
        ? Effect.void
        : performance.now() > until
        ? Effect.die(new LeakError(engine.name, holders))
        : Effect.zipRight(pause, look)
    })
    return look
  })

class WatchedConnection extends Delegate {
  constructor(inner: Driver.Connection, private readonly driver: Driver.Driver, private readonly watch: Watch) {
    super(inner)
  }

  override execute(request: Driver.Request, done: Driver.Done<unknown>): void {
    this.watch.record(this.driver, this.id, request)
    this.inner.execute(request, done)
  }

  override openCursor(request: Driver.Request, done: Driver.Done<Driver.Cursor>): void {
    this.watch.record(this.driver, this.id, request)
    this.inner.openCursor(request, done)
  }
}

/** The driver, with its statements recorded. */
export const watchDriver = (driver: Driver.Driver): Driver.Driver => {
  const watch = new Watch()
  return Object.assign(wrapConnections(driver, (connection) => new WatchedConnection(connection, driver, watch)), {
    [WatchId]: watch
  })
}

/** What was recorded of an engine; `undefined` where nothing records. */
export const watchOf = (engine: Engine): Watch | undefined =>
  (engine.driver as Driver.Driver & { readonly [WatchId]?: Watch })[WatchId]

/** The databases that a layer gave, whatever their tags. */
export const databasesOf = (context: Context.Context<never>): ReadonlyArray<Database> =>
  [...context.unsafeMap.values()].filter(isDatabase)

/** Where sessions wait and nothing moves for so many seconds of real time, it is said: before a test's time is over. */
const stall = 3

/**
 * Writes to the error output which fibers hold what others wait for: under a clock that stands still no limit runs out,
 * and a test that has used up its time says nothing.
 */
const reportStalls = (engine: Engine, watch: Watch) => {
  let seen = watch.total
  let still = 0
  const timer = setInterval(() => {
    const { waiting } = engine.pool.figures
    still = waiting > 0 && watch.total === seen ? still + 1 : 0
    seen = watch.total
    if (still === stall) {
      const one = engine.pool.capacity > 1 ?
        "" :
        "\nIt has one connection: what needs two at a time can use the session that " +
        "is open (Db.session around both), or a database with several (DbTest.sqlite({ file: true }), DbTest.postgres())"
      process.stderr.write(
        `dblive: for ${stall} seconds nothing has moved on database "${engine.name}", while ` +
          `${waiting === 1 ? "1 session waits" : `${waiting} sessions wait`} for a connection` +
          `${listOf(leaks(engine, new Set()))}${one}\n`
      )
    }
  }, 1_000)
  timer.unref()
  return timer
}

const looked = new WeakSet<Engine>()

/** Lets an engine's leaks fail the test when the scope closes, before the engine itself closes. */
export const attendEngine = (engine: Engine) =>
  Effect.suspend(() => {
    const watch = watchOf(engine)
    watch?.begin(engine)
    if (looked.has(engine)) {
      return Effect.void
    }
    looked.add(engine)
    const timer = watch === undefined ? undefined : reportStalls(engine, watch)
    return Effect.addFinalizer(() =>
      Effect.onError(Effect.zipRight(Effect.sync(() => clearInterval(timer)), checked(engine, new Set())), () =>
        Effect.sync(() => {
          // What leaks is not waited for: it would not come, and the clock of a test may stand still. `watched` has made
          // these settings for this engine alone.
          const settings: { closeTimeout: number } = engine.config.pool
          settings.closeTimeout = 0
        }))
    )
  })

/**
 * A layer whose databases are recorded and looked at for leaks.
 */
export const watched = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  decorate(layer, {
    config: (config) => ({
      ...config,
      // Its own, because a leak shortens the closing: see `attendEngine`.
      pool: { ...config.pool, closeTimeout }
    }),
    driver: (make) => (config) => Effect.map(make(config), watchDriver)
  }).pipe(
    Layer.flatMap((context) =>
      Layer.scopedContext(
        Effect.as(
          Effect.zipRight(
            load,
            Effect.forEach(databasesOf(context), (database) => attendEngine(engineOf(database)), { discard: true })
          ),
          context
        )
      )
    )
  )

const unrecorded = (name: string): string =>
  `database "${name}" is not recorded: build it with one of the layers of DbTest, or put DbTest.recorded(...) around ` +
  "its layer"

/** What was recorded of the database under a tag. */
export const watchUnder = <Self>(tag: Context.Tag<Self, Database>): Effect.Effect<Watch, never, Self> =>
  Effect.flatMap(tag, (database) => {
    const watch = watchOf(engineOf(database))
    return watch === undefined ? Effect.dieMessage(unrecorded(database.name)) : Effect.succeed(watch)
  })
