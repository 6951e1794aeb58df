/**
 * One link to a PostgreSQL server, after `pg` has opened it: how its transaction stands, what may have to be cleaned,
 * and which exchange is under way.
 *
 * @since 0.1.0
 */
import type { ConnectionError, DbError } from "../../../DbError.js"
import type { Connection, Cursor, Done, Request, ResetPolicy, TransactionStatus } from "../../../driver/Driver.js"
import { Cancel } from "./cancel.js"
import type { ServerError } from "./codes.js"
import { isFatal } from "./codes.js"
import { PortalCursor } from "./cursor.js"
import type { Exchange } from "./exchange.js"
import { Ping, Script } from "./exchange.js"
import { Statement } from "./extended.js"
import type { Failing, Failures, OwnLimits, Standing } from "./failures.js"
import { nothingSent } from "./failures.js"
import type { Message, Opened } from "./link.js"
import { Lookup } from "./lookup.js"
import { encodeAll, Params } from "./params.js"
import type { Carried } from "./pooling.js"
import { PreparedStatements } from "./prepared.js"
import type { Field, Values } from "./shape.js"
import type { Text, Texts } from "./text.js"
import type { Types } from "./types.js"
import { writer } from "./writer.js"

/**
 * What a connection has from its driver.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly texts: Texts
  readonly prepareLimit: number
  /** A pooler in transaction mode lies in between: each transaction may have another process of the server. */
  readonly isPooled: boolean
  readonly failures: Failures
  readonly types: Types
}

const statuses: Readonly<Record<string, TransactionStatus>> = { I: "idle", T: "open", E: "failed" }

/** The pieces of DISCARD ALL, which cannot stand in one text with others, without what was prepared. */
const discard = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *; " +
  "SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"

const mostParams = 65535
const syncMessage = Buffer.from([83, 0, 0, 0, 4])
const setting = (millis: number | undefined): string => millis === undefined ? "DEFAULT" : String(Math.ceil(millis))

/**
 * @since 0.1.0
 * @category models
 */
export class PgConnection implements Connection {
  readonly id: number
  readonly parameters: Map<string, string>
  readonly texts: Texts
  readonly prepared: PreparedStatements
  readonly failures: Failures
  readonly types: Types

  /** What has to go with each transaction; `undefined` where the connection was opened with all of it. */
  carried: Carried | undefined
  private readonly isPooled: boolean

  transaction: TransactionStatus = "idle"
  dirty = false
  holds = false
  lost = false
  onLost: ((error: ConnectionError) => void) | undefined
  /** Told of every NOTIFY. */
  onNotification: ((channel: string, payload: string) => void) | undefined

  /** Limits of the running transaction that differ from the session's, in milliseconds; NaN: not known any more. */
  localStatementTimeout: number | undefined
  localLockTimeout: number | undefined
  hasLocalLimits = false
  /** A statement of the program's may have set limits of its own. */
  private foreignLimits = false
  /** When something was last sent, by `performance.now()`. */
  private sentAt = 0
  /** When something was sent before that: what is refused because of an idle time was sent at its end. */
  private sentBefore = 0

  /** Counts transactions, those of single statements included. */
  transactionNumber = 0

  // Out of reach of `inspect` and `JSON.stringify`: behind them stands a TLS key.
  readonly #opened: Opened
  readonly #stream: Opened["stream"]
  #cancelling: Cancel | undefined
  private current: Exchange | undefined
  private sessionLimits: OwnLimits | undefined
  private forgets = false
  /** The open transaction has changed the schema: its end, or the way back to a savepoint, may change it again. */
  private hasReshaped = false
  /** A portal is open outside a transaction: the server waits for a Sync. */
  private unsynced: Exchange | undefined
  /** Ends of exchanges that nobody waits for any more. */
  private skipped = 0
  private failure: Error | undefined
  private onCurrentEnded: (() => void) | undefined
  private onEnded: Array<() => void> = []
  private isEnded = false
  private isDropped = false

  constructor(opened: Opened, settings: Settings) {
    this.id = opened.id
    this.parameters = opened.parameters
    this.#opened = opened
    this.#stream = opened.stream
    this.texts = settings.texts
    this.prepared = new PreparedStatements(settings.prepareLimit)
    this.isPooled = settings.isPooled
    this.failures = settings.failures
    this.types = settings.types
  }

  get serverVersion(): string {
    return this.parameters.get("server_version") ?? "unknown"
  }

  // What goes out.

  execute(request: Request, answer: Done<unknown>): void {
    let done = answer
    const unusable = this.unusable(request.text)
    if (unusable !== undefined) return done(unusable, undefined)
    const known = this.prepared.get(request.text)
    const text = known === undefined ? this.texts.of(request.text) : known.text
    if (text.fault !== undefined) return done(this.failures.text(text.fault, request.text), undefined)
    const encoding = this.foreignEncoding(request.text, text)
    if (encoding !== undefined) return done(this.failures.encoding(encoding, request.text), undefined)
    const carried = this.carried
    if (carried !== undefined) {
      const refusal = this.pooledRefusal(request, text)
      if (refusal !== undefined) return done(refusal, undefined)
      done = this.carryingOn(carried, text, answer)
    } else if (
      !text.plain && !text.controls && this.transaction === "idle" && request.begin === undefined &&
      (request.statementTimeout !== undefined || request.lockTimeout !== undefined)
    ) {
      return this.executeWithSessionLimits(request, done)
    }
    if (
      request.params.length === 0 && (text.several || !request.prepare || this.prepared.limit === 0) &&
      // What is carried goes ahead of a single statement by the extended protocol only.
      (text.several || this.carriedAhead(request, text) === undefined)
    ) {
      return this.executeScript(request, text, done)
    }
    const params = this.encode(request)
    if (!(params instanceof Params)) return done(params, undefined)
    new Statement(this, request, text, params, done).start()
  }

  openCursor(request: Request, done: Done<Cursor>): void {
    // Only when it fails is there no cursor: the contract's `value` is read without an error only.
    const fail = (error: DbError): void => done(error, undefined as unknown as Cursor)
    const unusable = this.unusable(request.text)
    if (unusable !== undefined) return fail(unusable)
    const text = this.texts.of(request.text)
    if (text.fault !== undefined) return fail(this.failures.text(text.fault, request.text))
    const encoding = this.foreignEncoding(request.text, text)
    if (encoding !== undefined) return fail(this.failures.encoding(encoding, request.text))
    const refusal = this.carried === undefined ? undefined : this.pooledRefusal(request, text)
    if (refusal !== undefined) return fail(refusal)
    const params = this.encode(request)
    if (!(params instanceof Params)) return fail(params)
    done(undefined, new PortalCursor(this, request, text, params))
  }

  /** By the simple protocol; a BEGIN and limits go ahead in exchanges of their own. */
  private executeScript(request: Request, text: Text, done: Done<unknown>): void {
    const limits: Array<string> = request.begin === undefined ? [] : [request.begin]
    if (request.begin !== undefined && this.carried !== undefined) limits.push(...this.carried.begin)
    if ((this.transaction === "open" && !text.controls) || request.begin !== undefined) {
      if (request.statementTimeout !== this.localStatementTimeout) {
        limits.push(`SET LOCAL statement_timeout TO ${setting(request.statementTimeout)}`)
      }
      if (request.lockTimeout !== this.localLockTimeout) {
        limits.push(`SET LOCAL lock_timeout TO ${setting(request.lockTimeout)}`)
      }
    }
    const ahead = this.carriedAhead(request, text)
    const start = (): void => new Script(this, request, text, done, ahead === undefined ? "" : `${ahead}; `).start()
    if (limits.length === 0) return start()
    this.run(limits.join("; "), (error) => {
      if (error !== undefined) return done(error, undefined)
      this.localStatementTimeout = request.statementTimeout
      this.localLockTimeout = request.lockTimeout
      this.hasLocalLimits = true
      start()
    })
  }

  /** What has to go ahead of a statement that is in no transaction, so that it runs with it in an implicit one. */
  carriedAhead(request: Request, text: Text): string | undefined {
    const single = this.carried?.single
    return single === undefined || this.transaction !== "idle" || request.begin !== undefined || text.controls ||
        text.alone
      ? undefined
      : single
  }

  /** A BEGIN typed by hand begins a transaction that has to have what is carried. */
  private carryingOn({ begin }: Carried, text: Text, done: Done<unknown>): Done<unknown> {
    if (!text.controls || this.transaction !== "idle" || begin.length === 0) return done
    return (error, value) =>
      error === undefined && this.transaction === "open"
        ? this.run(begin.join("; "), (failure) => done(failure, value))
        : done(error, value)
  }

  /** Why a statement cannot be what it seems behind a pooler. */
  private pooledRefusal(request: Request, text: Text): DbError | undefined {
    if (this.isPooled && text.lasting !== undefined) return this.failures.lasting(text.lasting, request.text)
    const wishes = this.carried?.wishes
    if (wishes === undefined || this.transaction !== "idle" || request.begin !== undefined) return undefined
    if (text.alone) return this.failures.notCarried(wishes, "a statement that runs in no transaction", request.text)
    return text.several && text.ends
      ? this.failures.notCarried(wishes, "a text that ends its transaction by itself", request.text)
      : undefined
  }

  /** Statements that may refuse to share a transaction with `SET LOCAL`: the session's limits are set, and set back. */
  private executeWithSessionLimits(request: Request, done: Done<unknown>): void {
    const { lockTimeout, statementTimeout } = request
    const names: Array<string> = []
    const set: Array<string> = []
    if (statementTimeout !== undefined) {
      names.push("statement_timeout")
      set.push(`SET statement_timeout TO ${setting(statementTimeout)}`)
    }
    if (lockTimeout !== undefined) {
      names.push("lock_timeout")
      set.push(`SET lock_timeout TO ${setting(lockTimeout)}`)
    }
    const bare: Request = { ...request, statementTimeout: undefined, lockTimeout: undefined }
    this.run(set.join("; "), (error) => {
      if (error !== undefined) return done(error, undefined)
      this.sessionLimits = { statementTimeout, lockTimeout }
      this.execute(bare, (failure, value) => {
        this.sessionLimits = undefined
        if (this.lost) return done(failure, value)
        this.run(names.map((name) => `SET ${name} TO DEFAULT`).join("; "), (unset) => {
          // In a transaction that has failed (the statement was a BEGIN with more) nothing can be set.
          if (unset !== undefined || this.transaction !== "idle") this.dirty = true
          done(failure, value)
        })
      })
    })
  }

  /** A text of the driver's own, of which only the success matters. */
  run(sql: string, done: (error: DbError | undefined) => void): void {
    const text = this.texts.of(sql)
    new Script(
      this,
      { text: sql, mode: "rows", safeIntegers: false },
      // Limits, and what is carried by every transaction alike, change nothing for prepared statements.
      {
        ...text,
        dirty: false,
        forgets: false,
        limits: false,
        reshapes: text.reshapes && !/^(?:begin|set)\b/i.test(sql)
      },
      (e) => done(e)
    ).start()
  }

  /** Asks the catalog about types. */
  lookup(
    oids: ReadonlyArray<number>,
    beside: Exchange | undefined,
    statement: string,
    done: (failure: DbError | undefined) => void
  ): void {
    new Lookup(this, oids, beside, statement, done).start()
  }

  ping(done: Done<void>): void {
    const unusable = this.unusable(undefined)
    if (unusable !== undefined) return done(unusable)
    this.sync((error) => done(error === undefined ? undefined : this.asDbError(error)))
  }

  private sync(done: (error: ServerError | DbError | undefined) => void): void {
    new Ping(this, done).start()
  }

  private asDbError(error: ServerError | DbError): DbError {
    return "_tag" in error ? error : this.refused(error, nothingSent)
  }

  reset(policy: ResetPolicy, done: Done<void>): void {
    const unusable = this.unusable(undefined)
    if (unusable !== undefined) return done(unusable)
    const parts: Array<string> = []
    if (this.transaction !== "idle") {
      if (policy === "commit" && this.transaction === "open") {
        return this.run("COMMIT", (error) => error === undefined ? this.reset(policy, done) : done(error))
      }
      parts.push("ROLLBACK")
    }
    // Behind a pooler the next statement may reach another process, to which this would be done in place of ours.
    if ((this.dirty || policy === "discard") && !this.isPooled) parts.push(discard)
    if (this.forgets) parts.push("DEALLOCATE ALL")
    if (parts.length === 0) return done(undefined)
    this.run(parts.join("; "), (error) => {
      if (error !== undefined) return done(error)
      if (this.transaction !== "idle") return done(this.failures.stillInTransaction())
      if (this.forgets) this.prepared.forgetAll()
      this.dirty = false
      this.holds = false
      this.forgets = false
      this.foreignLimits = false
      done(undefined)
    })
  }

  cancel(done: Done<void>): void {
    if (this.lost || this.current === undefined) return done(undefined)
    const told = (error: Error | undefined): void =>
      done(
        error === undefined
          ? undefined
          : this.lost
          ? this.broken(this.failure, nothingSent)
          : this.failures.link(error, "NotSent")
      )
    if (this.#cancelling !== undefined) return this.#cancelling.also(told)
    this.#cancelling = new Cancel({
      route: this.#opened.route,
      id: this.id,
      secret: this.#opened.secret,
      isRunning: () => this.current !== undefined,
      onEnded: (ended) => {
        this.onCurrentEnded = ended
      },
      settle: (settled) => this.sync(settled),
      done: (error) => {
        this.#cancelling = undefined
        this.onCurrentEnded = undefined
        told(error)
      }
    })
    this.#cancelling.start()
  }

  close(done: Done<void>): void {
    if (this.isEnded) return done(undefined)
    this.onEnded.push(() => done(undefined))
    if (this.lost || this.current !== undefined) return this.destroy()
    this.drop()
    this.#opened.end()
  }

  destroy(): void {
    this.drop()
    this.#stream.destroy()
    this.#cancelling?.abort()
    this.breakOff(undefined)
  }

  readonly writes = (): boolean => true

  /** From now on the end of the link is no news. */
  private drop(): void {
    this.lost = true
    this.isDropped = true
    this.onLost = undefined
  }

  send(exchange: Exchange, continues?: Exchange): void {
    if (this.unsynced !== undefined && this.unsynced !== continues) {
      // A cursor was left open: its portal ends with a Sync of its own, whose answer is not waited for.
      this.skipped++
      this.#stream.write(syncMessage)
    }
    this.unsynced = undefined
    this.current = exchange
    this.sentBefore = this.sentAt
    this.sentAt = performance.now()
    this.write()
  }

  sendStatement(exchange: Exchange, text: Text, continues?: Exchange): void {
    if (text.dirty && !this.isPooled) {
      this.dirty = true
      if (text.holding !== undefined) this.holds = text.holding === "takes"
    }
    if (text.forgets && !this.isPooled) this.forgets = true
    if (text.limits) this.foreignLimits = true
    this.send(exchange, continues)
  }

  write(): void {
    this.#stream.write(writer.take())
  }

  /** A cursor waits for its next fetch, without the server having been told to end its transaction. */
  paused(exchange: Exchange): void {
    this.unsynced = exchange
    this.ended()
  }

  statementEnded(text: Text): void {
    if (text.forgets) this.prepared.forgetAll()
    if (text.reshapes || (this.hasReshaped && (text.rollsBack || this.transaction === "idle"))) {
      this.prepared.outdateAll()
      this.hasReshaped = this.transaction !== "idle"
    }
    if (this.transaction === "idle") {
      this.transactionNumber++
      this.localStatementTimeout = undefined
      this.localLockTimeout = undefined
      this.hasLocalLimits = false
      // What was set for the transaction alone has ended with it.
      if (!this.dirty) this.foreignLimits = false
      this.prepared.transactionEnded()
    } else if (text.rollsBack && this.hasLocalLimits) {
      // Back to what they were at the savepoint, which is not remembered.
      this.localStatementTimeout = NaN
      this.localLockTimeout = NaN
    }
  }

  // What comes in.

  /** Takes the place of `pg`'s own listeners. */
  receive(event: string, message: Message): boolean {
    const current = this.current
    switch (event) {
      case "dataRow":
        // `pg` gives the columns of a row as texts.
        current?.row(message.fields as Values, message.length)
        return true
      case "bindComplete":
        if (this.skipped === 0) current?.bindComplete()
        return true
      case "commandComplete":
        if (this.skipped === 0) current?.complete(message.text)
        return true
      case "readyForQuery":
        this.readyForQuery(message.status)
        return true
      case "parameterDescription":
        // `pg` gives the types of the parameters so.
        current?.typed(message.dataTypeIDs as ReadonlyArray<number>)
        return true
      case "parseComplete":
        current?.parseComplete()
        return true
      case "rowDescription":
        current?.described(message.fields as ReadonlyArray<Field>)
        return true
      case "noData":
        current?.described(undefined)
        return true
      case "portalSuspended":
        current?.suspended()
        return true
      case "emptyQuery":
        current?.complete(undefined)
        return true
      case "errorMessage":
        // `pg` gives a server's error as an `Error` with the fields of `ServerError`.
        this.serverError(message as unknown as ServerError)
        return true
      case "copyInResponse":
        current?.copyIn()
        return true
      case "copyOutResponse":
        current?.copyOut()
        return true
      case "notification":
        this.onNotification?.(message.channel ?? "", message.payload ?? "")
        return true
      case "parameterStatus":
        this.parameters.set(message.parameterName ?? "", message.parameterValue ?? "")
        return true
      case "error":
        // What the parser or the socket threw is passed on under this name as it is.
        this.breakOff(message as unknown as Error)
        return true
      case "end":
        this.isEnded = true
        this.breakOff(undefined)
        for (const ended of this.onEnded.splice(0)) ended()
        return true
      default:
        return false
    }
  }

  private readyForQuery(status: string | undefined): void {
    if (this.skipped > 0) {
      this.skipped--
      return
    }
    this.transaction = statuses[status ?? "I"] ?? "idle"
    const current = this.current
    if (current === undefined) return
    this.ended()
    current.ready()
  }

  private ended(): void {
    this.current = undefined
    const ended = this.onCurrentEnded
    if (ended !== undefined) {
      this.onCurrentEnded = undefined
      // After the exchange has told its owner.
      queueMicrotask(ended)
    }
  }

  private serverError(error: ServerError): void {
    if (isFatal(error)) {
      this.#stream.destroy()
      this.current?.failed(error)
      this.breakOff(error)
    } else if (this.skipped > 0) {
      // That of a cursor which nobody reads any more (its limit ran out, perhaps), not of what was sent behind it.
      return
    } else if (this.current === undefined) {
      this.failure = error
    } else {
      this.current.failed(error)
    }
  }

  /** The link is gone. The running exchange is told first. */
  private breakOff(cause: Error | undefined): void {
    const current = this.current
    if (this.lost && current === undefined && !this.isDropped) return
    this.lost = true
    this.failure = cause ?? current?.error ?? this.failure
    this.current = undefined
    this.unsynced = undefined
    this.#stream.destroy()
    this.#cancelling?.abort()
    current?.lost(this.failure)
    const onLost = this.onLost
    this.onLost = undefined
    if (onLost !== undefined) onLost(this.failures.link(this.failure, this.outcomeWhenIdle))
  }

  // What is said of failures.

  private get standing(): Standing {
    return {
      isCancelling: this.#cancelling !== undefined,
      foreignLimits: this.foreignLimits,
      ranMillis: performance.now() - this.sentAt,
      idleMillis: performance.now() - this.sentBefore,
      limits: this.sessionLimits ?? { statementTimeout: this.localStatementTimeout, lockTimeout: this.localLockTimeout }
    }
  }

  private get outcomeWhenIdle(): "NotSent" | "RolledBack" {
    return this.transaction === "idle" ? "NotSent" : "RolledBack"
  }

  /** The server has answered with an error, and the link lives. */
  refused(error: ServerError, at: Failing): DbError {
    return this.failures.refused(error, at, this.standing)
  }

  /** The link is gone. */
  broken(cause: Error | undefined, at: Failing): DbError {
    return this.failures.broken(cause, at, this.standing)
  }

  /** Why nothing can be sent now. */
  unusable(statement: string | undefined): DbError | undefined {
    if (this.lost) return this.broken(this.failure, { outcome: this.outcomeWhenIdle, statement, commit: false })
    return this.current === undefined ? undefined : this.failures.busy()
  }

  /** The encoding that somebody has set in place of ours, unless the statement may be what sets it back. */
  private foreignEncoding(statement: string, text: Text): string | undefined {
    const encoding = this.parameters.get("client_encoding") ?? "UTF8"
    return encoding === "UTF8" || text.controls || /^\s*(?:set|reset|discard)\b/i.test(statement) ? undefined : encoding
  }

  private encode({ params, text }: Request): Params | DbError {
    if (params.length > mostParams) return this.failures.tooManyParameters(params.length, mostParams, text)
    const encoded = encodeAll(params)
    return encoded instanceof Params ? encoded : this.failures.parameter(encoded, text)
  }
}
