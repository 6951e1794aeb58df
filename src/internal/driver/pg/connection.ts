/**
 * One link to a PostgreSQL server, after `pg` has opened it: what is sent, which exchange is under way, and what arrives
 * for it.
 */
import type { ConnectionError, DbError } from "../../../DbError.js"
import type {
  Connection,
  Cursor,
  Description,
  Done,
  Request,
  ResetPolicy,
  TransactionStatus
} from "../../../driver/Driver.js"
import { type BatchDone, startBatch } from "./batch.js"
import { Cancelling } from "./cancel.js"
import type { ServerError } from "./codes.js"
import { isFatal, isServersWord } from "./codes.js"
import { PortalCursor } from "./cursor.js"
import { Describe } from "./describe.js"
import type { Channel, Exchange } from "./exchange.js"
import { ExchangeQueue, Ping } from "./exchange.js"
import type { Failing, Standing } from "./failures.js"
import { nothingSent } from "./failures.js"
import { withSessionLimits } from "./limits.js"
import type { Message, Opened } from "./link.js"
import { PipelinedStatement } from "./pipelined.js"
import type { Carried } from "./pooling.js"
import type { DataRow } from "./reader.js"
import { reset } from "./reset.js"
import { runOwn, runScript } from "./script.js"
import type { Settings } from "./session.js"
import { foreignEncoding, SessionState } from "./session.js"
import type { Field } from "./shape.js"
import { Statement } from "./statement.js"
import type { Text } from "./text.js"
import { encodeAll, Params } from "./values.js"
import { Outgoing } from "./writer.js"

const statuses: Readonly<Record<string, TransactionStatus>> = { I: "idle", T: "open", E: "failed" }

const mostParams = 65535
const syncMessage = Buffer.from([83, 0, 0, 0, 4])

export class PgConnection implements Connection, Channel {
  readonly id: number
  readonly parameters: Map<string, string>
  readonly session: SessionState

  lost = false
  onLost: ((error: ConnectionError) => void) | undefined
  retired = false
  /** Told that the server has refused a write (25006). Answers whether that is because it accepts none at all. */
  onWriteRefused: (() => boolean) | undefined
  /** Told of every NOTIFY. */
  onNotification: ((channel: string, payload: string, processId: number) => void) | undefined

  private readonly exchanges = new ExchangeQueue()
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: behind it stands a TLS key.
  readonly #opened: Opened
  // eslint-disable-next-line no-restricted-syntax -- Not for inspect: behind it stands a TLS key.
  readonly #stream: Opened["stream"]
  private readonly cancelling = new Cancelling<Exchange>()
  private readonly outgoing: Outgoing
  /** A portal is open outside a transaction: the server waits for a Sync. */
  private unsynced: Exchange | undefined = undefined
  /** Ends of exchanges that nothing waits for any more. */
  private skipped = 0
  private failure: Error | undefined = undefined
  private onEnded: Array<() => void> = []
  private isEnded = false
  private isDropped = false

  constructor(opened: Opened, settings: Settings) {
    this.id = opened.id
    this.parameters = opened.parameters
    this.session = new SessionState(settings)
    this.#opened = opened
    this.#stream = opened.stream
    this.outgoing = new Outgoing(opened.stream)
  }

  get serverVersion(): string {
    return this.parameters.get("server_version") ?? "unknown"
  }

  get transaction(): TransactionStatus {
    return this.session.transaction
  }

  get dirty(): boolean {
    return this.session.dirty
  }

  get holds(): boolean {
    return this.session.holds
  }

  // What goes out.

  execute(request: Request, answer: Done<unknown>): void {
    let done = answer
    const { session } = this
    const unusable = this.unusable(request.text)
    if (unusable !== undefined) return done(unusable, undefined)
    const known = session.prepared.get(request.text)
    const text = known === undefined ? session.texts.of(request.text) : known.text
    const refusal = this.refusal(request, text)
    if (refusal !== undefined) return done(refusal, undefined)
    if (session.carried !== undefined) {
      done = this.carryingOn(session.carried, text, answer)
    } else if (
      !text.plain && !text.controls && session.transaction === "idle" && request.begin === undefined &&
      (request.statementTimeout !== undefined || request.lockTimeout !== undefined)
    ) {
      return withSessionLimits(this, request, (bare, executed) => this.execute(bare, executed), done)
    }
    if (
      request.params.length === 0 && (text.several || !request.prepare || session.prepared.limit === 0) &&
      // What is carried goes ahead of a single statement by the extended protocol only.
      (text.several || session.carriedAhead(request, text) === undefined)
    ) {
      return runScript(this, request, text, done)
    }
    const params = this.encode(request)
    if (!(params instanceof Params)) return done(params, undefined)
    new Statement(this, request, text, params, done).start()
  }

  executeSome(requests: ReadonlyArray<Request>, done: BatchDone): void {
    const isBatched = this.unusable(undefined) === undefined &&
      startBatch(this, requests, (request, text) => this.refusal(request, text) ?? this.encode(request), done)
    if (!isBatched) this.execute(requests[0]!, (error, value) => done(error, error === undefined ? [value] : []))
  }

  canPipeline(request: Request): boolean {
    return !this.lost && !this.cancelling.isUnderWay && this.unsynced === undefined &&
      (this.parameters.get("client_encoding") ?? "UTF8") === "UTF8" && this.session.canPipeline(request)
  }

  pipeline(request: Request, done: Done<unknown>, onAgain?: () => void): void {
    if (this.lost) return done(this.unusable(request.text), undefined)
    const params = this.encode(request)
    if (!(params instanceof Params)) return done(params, undefined)
    const { prepared, texts } = this.session
    // One that was forgotten since `canPipeline` looked is prepared once more.
    const text = prepared.get(request.text)?.text ?? texts.of(request.text)
    new PipelinedStatement(this, request, text, params, done, onAgain).start()
  }

  flush(): void {
    this.exchanges.written()
    this.outgoing.flush()
  }

  describe(text: string, done: Done<Description>): void {
    const unusable = this.unusable(text)
    // Beside an error the value is not read.
    if (unusable !== undefined) return done(unusable, undefined as never)
    new Describe(this, text, done).start()
  }

  openCursor(request: Request, done: Done<Cursor>): void {
    // Only when it fails is there no cursor: the contract's `value` is read without an error only.
    const fail = (error: DbError): void => done(error, undefined as unknown as Cursor)
    const unusable = this.unusable(request.text)
    if (unusable !== undefined) return fail(unusable)
    const text = this.session.texts.of(request.text)
    const refusal = this.refusal(request, text)
    if (refusal !== undefined) return fail(refusal)
    const params = this.encode(request)
    if (!(params instanceof Params)) return fail(params)
    done(undefined, new PortalCursor(this, request, text, params))
  }

  /** Why a text is not sent. */
  private refusal(request: Request, text: Text): DbError | undefined {
    const { session } = this
    if (text.fault !== undefined) return session.failures.text(text.fault, request.text)
    const encoding = foreignEncoding(this.parameters.get("client_encoding"), request.text, text)
    if (encoding !== undefined) return session.failures.encoding(encoding, request.text)
    return session.carried === undefined ? undefined : session.pooledRefusal(request, text)
  }

  /** A BEGIN typed by hand begins a transaction that has to have what is carried. */
  private carryingOn({ begin }: Carried, text: Text, done: Done<unknown>): Done<unknown> {
    if (!text.controls || this.transaction !== "idle" || begin.length === 0) return done
    return (error, value) =>
      error === undefined && this.transaction === "open"
        ? this.run(begin.join("; "), (failure) => done(failure, value))
        : done(error, value)
  }

  run(sql: string, done: (error: DbError | undefined) => void): void {
    runOwn(this, sql, done)
  }

  ping(done: Done<void>): void {
    const unusable = this.unusable(undefined)
    if (unusable !== undefined) return done(unusable)
    new Ping(this, (error) => done(error === undefined || "_tag" in error ? error : this.refused(error, nothingSent)))
      .start()
  }

  reset(policy: ResetPolicy, done: Done<void>): void {
    reset(this, policy, done)
  }

  cancel(done: Done<void>, request?: Request): void {
    if (request !== undefined) this.cancelling.takeWaiting((exchange) => exchange.isOf(request))?.stopped()
    const running = this.exchanges.current
    if (this.lost || running === undefined || (request !== undefined && !running.isOf(request))) return done(undefined)
    this.cancelling.start({
      route: this.#opened.route,
      id: this.id,
      secret: this.#opened.secret,
      isRunning: request === undefined
        ? () => this.exchanges.current !== undefined
        : () => this.exchanges.current === running,
      settle: (settled) => new Ping(this, settled).start(),
      stuck: () => this.destroy(),
      done: (error) =>
        done(
          error === undefined
            ? undefined
            : this.lost
            ? this.broken(this.failure, nothingSent)
            : this.session.failures.link(error, "NotSent")
        )
    }, request === undefined ? undefined : running)
  }

  isHit(exchange: Exchange): boolean {
    return this.cancelling.mayHit(exchange)
  }

  whenSettled(exchange: Exchange): void {
    this.cancelling.whenSettled(exchange)
  }

  close(done: Done<void>): void {
    if (this.isEnded) return done(undefined)
    this.onEnded.push(() => done(undefined))
    if (this.lost || this.exchanges.current !== undefined) return this.destroy()
    this.drop()
    this.#opened.end()
  }

  destroy(): void {
    this.drop()
    this.#stream.destroy()
    this.cancelling.abort()
    this.breakOff(undefined)
  }

  readonly writes = (): boolean => true

  /** Breaks the link, for a reason that its borrower is told. */
  cut(cause: Error): void {
    if (!this.lost) this.breakOff(cause)
  }

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
    this.exchanges.add(exchange)
    if (exchange.isGathered) this.outgoing.gather()
    else this.write()
  }

  write(): void {
    this.exchanges.written()
    this.outgoing.write()
  }

  paused(exchange: Exchange): void {
    this.unsynced = exchange
    this.ended()
  }

  // What comes in.

  row(row: DataRow): void {
    this.exchanges.current?.row(row)
  }

  /** Takes the place of `pg`'s own listeners. The most frequent messages first. */
  // eslint-disable-next-line complexity -- One switch over the messages of the protocol: a table would cost a call a row.
  receive(event: string, message: Message): boolean {
    const current = this.exchanges.current
    switch (event) {
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
        this.onNotification?.(message.channel ?? "", message.payload ?? "", message.processId ?? 0)
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
    this.session.transaction = statuses[status ?? "I"] ?? "idle"
    const current = this.exchanges.current
    if (current === undefined) return
    this.ended()
    current.ready()
  }

  private ended(): void {
    this.exchanges.shift()
    if (this.cancelling.isUnderWay) this.cancelling.exchangeEnded()
  }

  private serverError(error: ServerError): void {
    if (isFatal(error)) {
      this.#stream.destroy()
      this.exchanges.current?.failed(error)
      this.breakOff(error, isServersWord(error))
    } else if (this.skipped > 0) {
      // That of a cursor which is not read any more (its limit ran out, perhaps), not of what was sent behind it.
      return
    } else if (this.exchanges.current === undefined) {
      this.failure = error
    } else {
      this.exchanges.current.failed(error)
    }
  }

  /** The link is gone. The running exchange is told first. A server that has said so itself reads nothing more. */
  private breakOff(cause: Error | undefined, isToldByServer = false): void {
    const { current } = this.exchanges
    if (this.lost && current === undefined && !this.isDropped) return
    this.lost = true
    this.failure = cause ?? current?.error ?? this.failure
    const unanswered = this.exchanges.drain(isToldByServer)
    this.outgoing.drop()
    this.unsynced = undefined
    this.#stream.destroy()
    this.cancelling.abort()
    for (const exchange of unanswered) exchange.lost(this.failure)
    const onLost = this.onLost
    this.onLost = undefined
    if (onLost !== undefined) onLost(this.session.failures.link(this.failure, this.session.outcomeWhenIdle))
  }

  // What is said of failures.

  private get standing(): Standing {
    return {
      isCancelling: this.cancelling.isUnderWay,
      foreignLimits: this.session.foreignLimits,
      ranMillis: this.exchanges.ranMillis,
      idleMillis: this.exchanges.idleMillis,
      limits: this.session.limits
    }
  }

  refused(error: ServerError, at: Failing): DbError {
    if (error.code === "25006" && this.onWriteRefused?.() === true) {
      return this.session.failures.readOnlyServer(error, at)
    }
    return this.session.failures.refused(error, at, this.standing)
  }

  broken(cause: Error | undefined, at: Failing): DbError {
    return this.session.failures.broken(cause, at, this.standing)
  }

  unusable(statement: string | undefined): DbError | undefined {
    if (this.lost) return this.broken(this.failure, { outcome: this.session.outcomeWhenIdle, statement, commit: false })
    return this.exchanges.current === undefined ? undefined : this.session.failures.busy()
  }

  private encode({ params, text }: Request): Params | DbError {
    if (params.length > mostParams) return this.session.failures.tooManyParameters(params.length, mostParams, text)
    const encoded = encodeAll(params)
    return encoded instanceof Params ? encoded : this.session.failures.parameter(encoded, text)
  }
}
