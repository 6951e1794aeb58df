/**
 * Putting something between an engine and its driver: the same engine, pool, retries and errors then run over it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as DbConfig from "../../DbConfig.js"
import type { ConnectionError, DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { currentOpening, type Opening } from "../database/Opening.js"
import { classify } from "../sql/classify.js"

/** A connection that hands everything on. Decorations override what they change. */
export class Delegate implements Driver.Connection {
  private lossHandler: ((error: ConnectionError) => void) | undefined = undefined

  constructor(readonly inner: Driver.Connection) {
    inner.onLost = (error) => this.onLost?.(error)
  }

  get id(): number {
    return this.inner.id
  }

  get serverVersion(): string {
    return this.inner.serverVersion
  }

  get transaction(): Driver.TransactionStatus {
    return this.inner.transaction
  }

  get dirty(): boolean {
    return this.inner.dirty
  }

  get holds(): boolean {
    return this.inner.holds === true
  }

  get lost(): boolean {
    return this.inner.lost
  }

  get retired(): boolean {
    return this.inner.retired === true
  }

  get onLost(): ((error: ConnectionError) => void) | undefined {
    return this.lossHandler
  }

  set onLost(handler: ((error: ConnectionError) => void) | undefined) {
    this.lossHandler = handler
  }

  execute(request: Driver.Request, done: Driver.Done<unknown>): void {
    this.inner.execute(request, done)
  }

  get describe(): Driver.Connection["describe"] {
    const { inner } = this
    return inner.describe === undefined ? undefined : (text, done) => inner.describe!(text, done)
  }

  openCursor(request: Driver.Request, done: Driver.Done<Driver.Cursor>): void {
    this.inner.openCursor(request, done)
  }

  ping(done: Driver.Done<void>): void {
    this.inner.ping(done)
  }

  reset(policy: Driver.ResetPolicy, done: Driver.Done<void>): void {
    this.inner.reset(policy, done)
  }

  cancel(done: Driver.Done<void>): void {
    this.inner.cancel(done)
  }

  close(done: Driver.Done<void>): void {
    this.inner.close(done)
  }

  destroy(): void {
    this.inner.destroy()
  }

  writes(text: string): boolean {
    return this.inner.writes(text)
  }
}

/** A driver whose connections are wrapped. Its services still get the connections of the driver itself. */
export const wrapConnections = (
  driver: Driver.Driver,
  wrap: (connection: Driver.Connection) => Delegate
): Driver.Driver => ({
  ...driver,
  open: Effect.map(driver.open, wrap),
  commitStatus: driver.commitStatus === undefined
    ? undefined
    : (connection, id, done) => driver.commitStatus!(unwrap(connection), id, done),
  services: (context) => driver.services({ ...context, connection: Effect.map(context.connection, unwrap) })
})

/** The connection one decoration further in. */
const unwrap = (connection: Driver.Connection): Driver.Connection =>
  connection instanceof Delegate ? connection.inner : connection

/** What a decoration makes of a driver, and of the configuration that the engine works by. */
interface Decoration {
  readonly config?: (config: DbConfig.DbConfig) => DbConfig.DbConfig
  readonly driver: (
    make: Driver.Make<DbConfig.DbConfig>
  ) => Driver.Make<DbConfig.DbConfig>
}

/**
 * A layer whose databases are opened with a decorated driver. It is built afresh, so that the undecorated layer may be
 * used beside it.
 */
export const decorate = <A, E, R>(layer: Layer.Layer<A, E, R>, decoration: Decoration): Layer.Layer<A, E, R> =>
  Layer.locallyWith(
    Layer.fresh(layer),
    currentOpening,
    // Decorations further out come later: they stand between the engine and this one.
    (outer) => (opening: Opening) =>
      outer({
        // What a test has not committed is on the primary alone, so that its reads run there, too.
        config: { ...(decoration.config?.(opening.config) ?? opening.config), replicas: [] },
        makeDriver: decoration.driver(opening.makeDriver)
      })
  )

/** Whether a text begins, ends or divides a transaction and does nothing else. */
export const isControl = (driver: Driver.Driver, text: string): boolean =>
  (classify(text, driver.dialect).control ?? "prepare") !== "prepare" || text === driver.transaction.commit ||
  text === driver.transaction.rollback || text === driver.transactionId

/** Whether a text is the one by which the engine commits. */
export const isCommit = (driver: Driver.Driver, text: string): boolean =>
  text === driver.transaction.commit || classify(text, driver.dialect).control === "commit"

/** Runs a text of a test layer's own on a connection. */
export const ask = (
  connection: Driver.Connection,
  text: string,
  done: (error: DbError | undefined, rows: ReadonlyArray<ReadonlyArray<unknown>>) => void,
  params: ReadonlyArray<unknown> = []
): void =>
  connection.execute(
    {
      text,
      params,
      mode: "values",
      prepare: true,
      begin: undefined,
      statementTimeout: undefined,
      lockTimeout: undefined,
      safeIntegers: false
    },
    // An answer in the mode `values`.
    (error, rows) => done(error, error === undefined ? rows as ReadonlyArray<ReadonlyArray<unknown>> : [])
  )

/** {@link ask} as an effect. */
export const askEffect = (
  connection: Driver.Connection,
  text: string,
  params: ReadonlyArray<unknown> = []
): Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, DbError> =>
  Effect.async((resume) =>
    ask(
      connection,
      text,
      (error, rows) => resume(error === undefined ? Effect.succeed(rows) : Effect.fail(error)),
      params
    )
  )

/** Under this key a connection without a database behind it can be told that its transaction has failed. */
export const FailTransaction: unique symbol = Symbol.for("dblive/DbTest/FailTransaction")

const innermost = (connection: Driver.Connection): Driver.Connection =>
  connection instanceof Delegate ? innermost(connection.inner) : connection

/** Fails the open transaction, as the database itself does when a statement in it fails; then `done`. */
export const failTransaction = (driver: Driver.Driver, connection: Driver.Connection, done: () => void): void => {
  const inner = innermost(connection)
  if (connection.transaction !== "open") {
    return done()
  }
  if (FailTransaction in inner && typeof inner[FailTransaction] === "function") {
    inner[FailTransaction]()
    return done()
  }
  // PostgreSQL refuses what comes after a failed statement; others go on, or have rolled back when it was a deadlock.
  return driver.target.system === "postgresql" ? ask(connection, "SELECT 1 / 0", () => done()) : done()
}
