/**
 * A connection inside a transaction that is never committed: what its user takes for transactions are savepoints.
 */
import type { ConnectionError, DbError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { classify, type Control } from "../sql/classify.js"
import { ask, Delegate } from "./decorate.js"
import { asCommit, checkDeferred, checkNow, mayWrite } from "./deferred.js"
import { commitWasRollback, gone, transactionEnded, writeRefused } from "./sandboxErrors.js"

/** The savepoint that stands for a transaction, and the one around a statement outside any. */
const asTransaction = "dblive_sandbox"
const aroundStatement = "dblive_statement"
const aroundCheck = "dblive_check"

/** What PostgreSQL's driver runs to clean a session, as far as it may run in a transaction. */
const discard = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *; " +
  "SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"

const readOnly = /read\s+only/i

/** What a {@link SandboxConnection} has from its sandbox. */
export interface Surroundings {
  readonly driver: Driver.Driver
  readonly database: string
  readonly orphans: ReadonlySet<string>
  /** A request was made: things move. */
  readonly onProgress: () => void
  /** The connection beneath is free for the next one. */
  readonly onFree: () => void
}

export class SandboxConnection extends Delegate {
  private isInside = false
  private isReadOnly = false
  private isGone = false
  private loss: ConnectionError | undefined = undefined
  /** The statement itself runs, not what the sandbox puts around it. */
  private isSent = false
  private isBusy = false
  private abort: ((error: DbError) => void) | undefined = undefined

  constructor(inner: Driver.Connection, private readonly surroundings: Surroundings) {
    super(inner)
  }

  override get transaction(): Driver.TransactionStatus {
    return !this.isInside || this.inner.transaction === "idle" ? "idle" : this.inner.transaction
  }

  override get dirty(): boolean {
    return this.isInside || (this.inner.dirty && this.surroundings.driver.target.system === "postgresql")
  }

  override get lost(): boolean {
    return this.isGone || this.inner.lost
  }

  // ---------------------------------------------------------------------------
  // requests
  // ---------------------------------------------------------------------------

  override execute(request: Driver.Request, done: Driver.Done<unknown>): void {
    this.request(done, (end) => this.perform(request, end))
  }

  override openCursor(request: Driver.Request, done: Driver.Done<Driver.Cursor>): void {
    this.request(done, (end) => this.openInner(request, end))
  }

  override ping(done: Driver.Done<void>): void {
    this.request(done, (end) => this.inner.ping(end))
  }

  override reset(policy: Driver.ResetPolicy, done: Driver.Done<void>): void {
    this.request(done, (end) => {
      const clean = (error: DbError | undefined) => {
        if (error !== undefined || !this.dirty) {
          return end(error, undefined)
        }
        this.ask(discard, (error) => end(error, undefined))
      }
      if (!this.isInside) {
        return clean(undefined)
      }
      if (policy === "commit" && this.inner.transaction === "open") {
        return this.commit((error) => clean(error))
      }
      this.rollback(clean)
    })
  }

  override cancel(done: Driver.Done<void>): void {
    if (this.isSent) {
      return this.inner.cancel(done)
    }
    // What the sandbox runs around a statement ends by itself, and at once.
    done(undefined, undefined)
  }

  override close(done: Driver.Done<void>): void {
    this.leave(() => done(undefined, undefined))
  }

  /** The link is not dropped, which would end the sandbox: it is put back to where its user began. */
  override destroy(): void {
    if (this.isGone) {
      return
    }
    this.isGone = true
    this.abort?.(this.goneError("Unknown"))
    if (this.isBusy) {
      // Cleaning goes on when the statement has ended.
      return this.inner.cancel(() => {})
    }
    this.settle()
  }

  private leave(done: () => void): void {
    if (this.isGone) {
      return done()
    }
    this.isGone = true
    this.settle(done)
  }

  private settle(done: () => void = () => {}): void {
    const free = () => {
      this.surroundings.onFree()
      done()
    }
    if (this.isInside && !this.inner.lost && this.inner.transaction !== "idle") {
      return this.rollback(free)
    }
    this.isInside = false
    free()
  }

  /** One request: answered once, and not at all by what comes after the connection was dropped. */
  private request<A>(done: Driver.Done<A>, start: (end: Driver.Done<A>) => void): void {
    this.surroundings.onProgress()
    // The value beside an error is never read.
    const refuse = (error: DbError) => done(error, undefined as A)
    if (this.isGone) {
      return refuse(this.loss ?? this.goneError("NotSent"))
    }
    if (!this.inner.lost && this.inner.transaction === "idle") {
      return refuse(transactionEnded(this.surroundings.database))
    }
    let isAnswered = false
    this.isBusy = true
    this.abort = (error) => {
      isAnswered = true
      refuse(error)
    }
    start((error, value) => {
      this.isBusy = false
      this.isSent = false
      this.abort = undefined
      if (this.isGone) {
        this.settle()
      }
      if (!isAnswered) {
        done(error, value)
      }
    })
  }

  private perform(request: Driver.Request, end: Driver.Done<unknown>): void {
    if (request.begin !== undefined) {
      const first = { ...request, begin: undefined }
      return this.isPipelined && this.kindOf(request.text) === undefined && !readOnly.test(request.begin)
        ? this.behind(asTransaction, first, (error, value, isThere) => {
          this.isInside = isThere
          end(error, value)
        })
        : this.begin(
          request.begin,
          (error) => error === undefined ? this.perform(first, end) : end(error, undefined)
        )
    }
    const settled = (error: DbError | undefined) => end(error, [])
    switch (this.kindOf(request.text)) {
      case "begin":
        return this.isInside ? settled(undefined) : this.begin(request.text, settled)
      case "commit":
        return this.isInside ? this.commit(settled) : settled(undefined)
      case "rollback":
        return this.isInside ? this.rollback(settled) : settled(undefined)
      case "savepoint":
        return this.send(request, end)
      default: {
        const refused = this.checkReadOnly(request.text)
        if (refused !== undefined) {
          return end(refused, undefined)
        }
        return this.isInside ? this.send(request, end) : this.autocommit(request, end)
      }
    }
  }

  private kindOf(text: string): Control | undefined {
    return classify(text, this.surroundings.driver.dialect).control
  }

  private send(request: Driver.Request, end: Driver.Done<unknown>): void {
    this.isSent = true
    this.inner.execute(request, (error, value) => {
      this.isSent = false
      end(error, value)
    })
  }

  /** A savepoint can go with the statement behind it, and what became of the transaction tells whether it is there. */
  private get isPipelined(): boolean {
    return this.surroundings.driver.target.system === "postgresql" && this.inner.transaction === "open"
  }

  /** Runs a request behind a savepoint, and says whether that is there: what is refused before it is sent makes none. */
  private behind(
    name: string,
    request: Driver.Request,
    done: (error: DbError | undefined, value: unknown, isThere: boolean) => void
  ): void {
    const begin = this.surroundings.driver.transaction.savepoint(name)
    if (this.isPipelined) {
      return this.send(
        { ...request, begin },
        (error, value) => done(error, value, error === undefined || this.inner.transaction !== "open")
      )
    }
    this.ask(begin, (error) =>
      error === undefined
        ? this.send(request, (error, value) => done(error, value, true))
        : done(error, undefined, false))
  }

  /** A statement outside any transaction is one of its own: it must not leave half of itself, nor fail the sandbox. */
  private autocommit(request: Driver.Request, end: Driver.Done<unknown>): void {
    this.behind(aroundStatement, request, (error, value, isThere) =>
      error !== undefined
        ? isThere ? this.undo(aroundStatement, () => end(error, undefined)) : end(error, undefined)
        : mayWrite(this.inner, request.text, this.surroundings.driver.dialect)
        ? this.commitSavepoint(aroundStatement, request.text, (violation) => end(violation, value))
        : this.release(aroundStatement, (left) => end(left, value)))
  }

  /** Runs something behind a savepoint, and leaves it by going back to it where it failed. */
  private within(
    name: string,
    body: (leave: (error: DbError | undefined, done: (error: DbError | undefined) => void) => void) => void,
    failed: (error: DbError) => void
  ): void {
    const { transaction } = this.surroundings.driver
    this.ask(transaction.savepoint(name), (error) => {
      if (error !== undefined) {
        return failed(error)
      }
      body((error, done) => error === undefined ? this.release(name, done) : this.undo(name, done))
    })
  }

  private release(name: string, done: (error: DbError | undefined) => void): void {
    const text = this.surroundings.driver.transaction.release?.(name)
    if (text === undefined || this.inner.transaction === "idle") {
      return done(undefined)
    }
    this.ask(text, done)
  }

  private undo(name: string, done: (error: DbError | undefined) => void): void {
    if (this.inner.lost || this.inner.transaction === "idle") {
      return done(undefined)
    }
    this.ask(
      this.surroundings.driver.transaction.rollbackTo(name),
      (error) => error === undefined ? this.release(name, done) : done(error)
    )
  }

  private ask(text: string, done: (error: DbError | undefined) => void): void {
    ask(this.inner, text, (error) => done(error))
  }

  // ---------------------------------------------------------------------------
  // transactions
  // ---------------------------------------------------------------------------

  private begin(text: string, done: (error: DbError | undefined) => void): void {
    const { driver } = this.surroundings
    const isSqlite = driver.target.system === "sqlite"
    this.isReadOnly = readOnly.test(text) || (isSqlite && /^\s*begin\s*(?:deferred)?\s*$/i.test(text))
    this.ask(driver.transaction.savepoint(asTransaction), (error) => {
      if (error !== undefined) {
        return done(error)
      }
      this.isInside = true
      if (!this.isReadOnly || driver.target.system !== "postgresql") {
        return done(undefined)
      }
      // Taken back with the savepoint.
      this.ask("SET LOCAL transaction_read_only = on", done)
    })
  }

  private commit(done: (error: DbError | undefined) => void): void {
    if (this.isReadOnly) {
      return this.rollback(done)
    }
    if (this.inner.transaction === "failed") {
      return this.rollback((error) => done(error ?? commitWasRollback(this.surroundings.database)))
    }
    this.isInside = false
    this.commitSavepoint(asTransaction, this.surroundings.driver.transaction.commit, done)
  }

  private rollback(done: (error: DbError | undefined) => void): void {
    this.isInside = false
    this.isReadOnly = false
    this.undo(asTransaction, done)
  }

  /**
   * Leaves a savepoint as COMMIT would: with its checks. Checking must not change what is checked when, so on PostgreSQL
   * it is taken back; and goes in one round trip.
   */
  private commitSavepoint(name: string, statement: string, done: (error: DbError | undefined) => void): void {
    const { database, driver, orphans } = this.surroundings
    const undone = (error: DbError) => this.undo(name, () => done(asCommit(error, statement)))
    if (driver.target.system !== "postgresql") {
      return checkDeferred(
        driver,
        database,
        this.inner,
        orphans,
        (error) => error === undefined ? this.release(name, done) : undone(error)
      )
    }
    const { rollbackTo, savepoint } = driver.transaction
    const texts = [
      savepoint(aroundCheck),
      checkNow,
      rollbackTo(aroundCheck),
      `RELEASE SAVEPOINT ${aroundCheck}`,
      `RELEASE SAVEPOINT ${name}`
    ]
    this.ask(texts.join("; "), (error) => error === undefined ? done(undefined) : undone(error))
  }

  /** A database without a server is not told that a transaction only reads. */
  private checkReadOnly(text: string): DbError | undefined {
    const { database, driver } = this.surroundings
    if (!this.isReadOnly || driver.target.system !== "sqlite" || !this.inner.writes(text)) {
      return undefined
    }
    return writeRefused(database, text)
  }

  // ---------------------------------------------------------------------------
  // cursors
  // ---------------------------------------------------------------------------

  private openInner(request: Driver.Request, end: Driver.Done<Driver.Cursor>): void {
    // The value beside an error is never read.
    const fail = (error: DbError) => end(error, undefined as never)
    if (request.begin !== undefined) {
      return this.begin(
        request.begin,
        (error) => error === undefined ? this.openInner({ ...request, begin: undefined }, end) : fail(error)
      )
    }
    const refused = this.checkReadOnly(request.text)
    if (refused !== undefined) {
      return fail(refused)
    }
    if (this.isInside) {
      return this.inner.openCursor(
        request,
        (error, cursor) => error === undefined ? end(undefined, this.cursor(cursor, undefined)) : fail(error)
      )
    }
    this.within(aroundStatement, (leave) =>
      this.inner.openCursor(request, (error, cursor) =>
        error === undefined
          ? end(undefined, this.cursor(cursor, leave))
          : leave(error, () => fail(error))), fail)
  }

  private cursor(
    cursor: Driver.Cursor,
    leave: ((error: DbError | undefined, done: (error: DbError | undefined) => void) => void) | undefined
  ): Driver.Cursor {
    let isOpen = true
    const end = (error: DbError | undefined, done: (error: DbError | undefined) => void) => {
      const wasOpen = isOpen
      isOpen = false
      return wasOpen && leave !== undefined ? leave(error, done) : done(undefined)
    }
    return {
      // Behind its own savepoint nothing else may come between.
      interleaves: leave === undefined && cursor.interleaves,
      fetch: (count, done) =>
        this.request(done, (settled) => {
          this.isSent = true
          cursor.fetch(count, (error, value) => {
            this.isSent = false
            if (error === undefined && !value.done) {
              return settled(undefined, value)
            }
            end(error, (left) => settled(error ?? left, value))
          })
        }),
      close: (done) =>
        this.lost || !isOpen
          ? cursor.close(done)
          : this.request(done, (settled) =>
            cursor.close((error) => end(error, (left) => settled(error ?? left, undefined))))
    }
  }

  private goneError(outcome: "NotSent" | "Unknown"): ConnectionError {
    return this.loss = gone(this.surroundings.database, outcome === "Unknown" && this.isInside ? "RolledBack" : outcome)
  }
}
