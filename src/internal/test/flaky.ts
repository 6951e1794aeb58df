/**
 * Faults on command, over any layer.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { type Database, Db } from "../../Db.js"
import type * as DbConfig from "../../DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { engineOf } from "../database/Database.js"
import { ask, decorate, Delegate, failTransaction, isCommit, isControl, wrapConnections } from "./decorate.js"
import { type Errors, errorsOf, type StatementFault } from "./faults.js"
import { Course, type Injected, type Plan, type Strike } from "./plan.js"
import { databasesOf, watched } from "./watch.js"

const CourseId: unique symbol = Symbol.for("dblive/DbTest/Course")

/** What the connections of one flaky database share. */
interface Surroundings {
  readonly driver: Driver.Driver
  readonly errors: Errors
  readonly course: Course
  readonly isOut: () => boolean
  /** Calls back after a time by the clock of the layer, unless what it gives is called first. */
  readonly later: (millis: number, then: () => void) => () => void
}

/** A request that has not been sent yet. */
interface Held {
  readonly stop: () => void
  readonly request: Driver.Request
  readonly fail: (error: DbError) => void
}

class FlakyConnection extends Delegate {
  private isBroken = false
  private held: Held | undefined = undefined

  constructor(inner: Driver.Connection, private readonly surroundings: Surroundings) {
    super(inner)
  }

  override get lost(): boolean {
    return this.isBroken || this.inner.lost
  }

  override execute(request: Driver.Request, done: Driver.Done<unknown>): void {
    this.send(request, done, (request, done) => this.inner.execute(request, done))
  }

  override openCursor(request: Driver.Request, done: Driver.Done<Driver.Cursor>): void {
    this.send(request, done, (request, done) => this.inner.openCursor(request, done))
  }

  override ping(done: Driver.Done<void>): void {
    if (!this.refuse(undefined, done)) {
      this.inner.ping(done)
    }
  }

  override reset(policy: Driver.ResetPolicy, done: Driver.Done<void>): void {
    if (!this.refuse(undefined, done)) {
      this.inner.reset(policy, done)
    }
  }

  override cancel(done: Driver.Done<void>): void {
    const { held } = this
    if (held === undefined) {
      return this.inner.cancel(done)
    }
    held.stop()
    this.held = undefined
    const outcome = this.inner.transaction === "idle" ? "NotSent" : "RolledBack"
    failTransaction(this.surroundings.driver, this.inner, () => {
      held.fail(this.surroundings.errors.cancelled(held.request.text, outcome))
      done(undefined, undefined)
    })
  }

  override close(done: Driver.Done<void>): void {
    return this.isBroken ? done(undefined, undefined) : this.inner.close(done)
  }

  override destroy(): void {
    const { held } = this
    this.held = undefined
    held?.stop()
    this.inner.destroy()
    held?.fail(this.lostError(held.request, false))
  }

  /** The link breaks by itself: the outage begins. */
  breakLink(): void {
    if (this.lost) {
      return
    }
    const { held } = this
    this.held = undefined
    held?.stop()
    const error = this.lostError(undefined, false)
    this.break(() => {
      held?.fail(this.lostError(held.request, false))
      this.tell(error)
    })
  }

  /** What is said of a request that was not sent, because the link is known to be gone. */
  private refuse<A>(request: Driver.Request | undefined, done: Driver.Done<A>): boolean {
    if (!this.isBroken) {
      return false
    }
    // The value beside an error is never read.
    done(this.lostError(request, false), undefined as A)
    return true
  }

  private send<A>(
    request: Driver.Request,
    done: Driver.Done<A>,
    pass: (request: Driver.Request, done: Driver.Done<A>) => void
  ): void {
    const { course, driver, isOut } = this.surroundings
    if (this.refuse(request, done)) {
      return
    }
    const isCommitting = isCommit(driver, request.text)
    if (!isCommitting && isControl(driver, request.text)) {
      return pass(request, done)
    }
    if (isOut()) {
      course.outage(isCommitting ? "commit" : "statement")
      return this.strike("LostBefore", request, isCommitting, done, pass)
    }
    const strike: Strike<StatementFault> = isCommitting ? course.commit() : course.statement(request.text)
    if (strike.delayMillis === 0) {
      return this.strike(strike.fault, request, isCommitting, done, pass)
    }
    const stop = this.surroundings.later(strike.delayMillis, () => {
      this.held = undefined
      this.strike(strike.fault, request, isCommitting, done, pass)
    })
    // As above.
    this.held = { stop, request, fail: (error) => done(error, undefined as A) }
  }

  private strike<A>(
    fault: StatementFault | undefined,
    request: Driver.Request,
    isCommitting: boolean,
    done: Driver.Done<A>,
    pass: (request: Driver.Request, done: Driver.Done<A>) => void
  ): void {
    // As above.
    const fail = (error: DbError) => done(error, undefined as A)
    const lose = (error: DbError) =>
      this.break(() => {
        fail(error)
        this.tell(this.lostError(undefined, false))
      })
    switch (fault) {
      case undefined:
        return pass(request, done)
      case "LostBefore":
        return lose(this.lostError(request, false))
      case "LostDuring":
        return lose(this.lostError(request, true, isCommitting))
      case "LostAfter": {
        // Before it is sent: afterwards a COMMIT has ended the transaction.
        const error = this.lostError(request, true, isCommitting)
        return pass(request, () => lose(error))
      }
      default:
        return this.answer(request, isCommitting, () =>
          fail(
            this.surroundings.errors.answered(fault, {
              outcome: "RolledBack",
              statement: request.text,
              commit: isCommitting,
              request
            })
          ))
    }
  }

  /** Leaves the transaction as the database leaves it after a failure, without the statement. */
  private answer(request: Driver.Request, isCommitting: boolean, done: () => void): void {
    const { driver } = this.surroundings
    if (isCommitting) {
      return ask(this.inner, driver.transaction.rollback, done)
    }
    const failed = () => failTransaction(driver, this.inner, done)
    return request.begin === undefined ? failed() : ask(this.inner, request.begin, failed)
  }

  /** Drops the link; the database has rolled back what was open on it when this calls back. */
  private break(then: () => void): void {
    this.isBroken = true
    const drop = () => {
      this.inner.destroy()
      then()
    }
    return this.inner.lost || this.inner.transaction === "idle"
      ? drop()
      : ask(this.inner, this.surroundings.driver.transaction.rollback, drop)
  }

  private tell(error: DbError): void {
    const onLost = this.onLost
    this.onLost = undefined
    if (onLost !== undefined && error._tag === "ConnectionError") {
      onLost(error)
    }
  }

  private lostError(request: Driver.Request | undefined, isSent: boolean, isCommitting = false): DbError {
    const isInside = this.inner.transaction !== "idle" || (isSent && request?.begin !== undefined)
    return this.surroundings.errors.lost({
      outcome: isInside && !isCommitting ? "RolledBack" : isSent ? "Unknown" : "NotSent",
      commit: isCommitting,
      statement: request?.text
    })
  }
}

const flakyDriver = (
  driver: Driver.Driver,
  config: DbConfig.DbConfig,
  plan: Plan
) =>
  Effect.gen(function*() {
    const runtime = yield* Effect.runtime<never>()
    const clock: Clock.Clock = yield* Effect.clock
    const fork = Runtime.runFork(runtime)
    const course = new Course(plan)
    const errors = errorsOf(driver.target, config)
    const opened = clock.unsafeCurrentTimeMillis()
    const { outages } = course
    const isOut = () => {
      const now = clock.unsafeCurrentTimeMillis() - opened
      return outages.some(({ from, until }) => from <= now && now < until)
    }
    const live = new Set<FlakyConnection>()
    const surroundings: Surroundings = {
      driver,
      errors,
      course,
      isOut,
      later: (millis, then) => {
        const fiber = fork(Effect.zipRight(Effect.sleep(millis), Effect.sync(then)))
        return () => fiber.unsafeInterruptAsFork(fiber.id())
      }
    }
    yield* Effect.forEach(outages, ({ from }) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          fork(Effect.zipRight(
            Effect.sleep(from),
            Effect.sync(() => {
              for (const connection of live) {
                connection.breakLink()
              }
              live.clear()
            })
          ))
        ),
        (fiber) => Fiber.interruptFork(fiber)
      ), { discard: true })
    const open: Driver.Driver["open"] = Effect.suspend((): Driver.Driver["open"] => {
      if (isOut()) {
        course.outage("connect")
        return Effect.fail(errors.connect("Refused"))
      }
      const { delayMillis, fault } = course.connect()
      const failed: Effect.Effect<never, ConnectionError | TimeoutError> | undefined = fault === undefined
        ? undefined
        : fault === "Timeout"
        ? Effect.zipRight(Effect.sleep(config.pool.connectTimeout), Effect.fail(errors.connect(fault)))
        : Effect.fail(errors.connect(fault))
      const attempt = failed ?? driver.open
      return delayMillis > 0 ? Effect.zipRight(Effect.sleep(delayMillis), attempt) : attempt
    })
    const flaky = wrapConnections({ ...driver, open }, (connection) => {
      const mine = new FlakyConnection(connection, surroundings)
      for (const other of live) {
        if (other.lost) {
          live.delete(other)
        }
      }
      live.add(mine)
      return mine
    })
    return Object.assign(flaky, {
      // A delayed statement does not end at once.
      capabilities: { ...driver.capabilities, synchronous: false },
      [CourseId]: course
    })
  })

/**
 * A layer whose databases fail as planned: refused and lost connections, delays, outages, time-outs, deadlocks,
 * serialization failures.
 *
 * The faults strike below the engine, and carry the errors of the database's own driver, so that nothing above can tell
 * them from real ones: transactions are rolled back, connections replaced, retries run. Delays and outages follow the
 * `Clock`: under `TestClock` minutes pass at once.
 *
 * @example
 * ```ts
 * import { Duration, Effect, Schedule } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const retried = Db.query("UPDATE account SET balance = balance - 1 WHERE id = 1").pipe(
 *   Db.transaction({ retry: Schedule.recurs(3) }),
 *   Effect.provide(DbTest.flaky(DbTest.sqlite(), [{ on: "commit", nth: 1, fault: "Serialization" }]))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const flaky = <A, E, R>(layer: Layer.Layer<A, E, R>, plan: Plan): Layer.Layer<A, E, R> =>
  watched(
    decorate(layer, {
      driver: (make) => (config) => Effect.flatMap(make(config), (driver) => flakyDriver(driver, config, plan))
    }).pipe(Layer.tap((context) =>
      Effect.sync(() => {
        for (const database of databasesOf(context)) {
          const course = courseOf(database)
          if (course !== undefined) {
            course.isArmed = true
          }
        }
      })
    ))
  )

const courseOf = (database: Database): Course | undefined =>
  (engineOf(database).driver as Driver.Driver & { readonly [CourseId]?: Course })[CourseId]

/**
 * The faults that have struck a database so far, in order.
 *
 * @example
 * ```ts
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}
 *
 * const struck = DbTest.injectedInto(SurveyHub)
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const injectedInto = <Self>(
  tag: Context.Tag<Self, Database>
): Effect.Effect<ReadonlyArray<Injected>, never, Self> =>
  Effect.flatMap(tag, (database) => {
    const course = courseOf(database)
    return course === undefined
      ? Effect.dieMessage(`database "${database.name}" is not flaky: put DbTest.flaky around its layer`)
      : Effect.succeed([...course.injected])
  })

/**
 * {@link injectedInto} the default database.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Db } from "dblive"
 * import * as DbTest from "dblive/test"
 *
 * const test = Effect.gen(function*() {
 *   yield* Effect.ignore(Db.query("SELECT 1"))
 *   return yield* DbTest.injected // [{ on: "statement", nth: 1, fault: "LostBefore" }]
 * }).pipe(Effect.provide(DbTest.flaky(DbTest.sqlite(), [{ on: "statement", fault: "LostBefore" }])))
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const injected: Effect.Effect<ReadonlyArray<Injected>, never, Db> = injectedInto(Db)
