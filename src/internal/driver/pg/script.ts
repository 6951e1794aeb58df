/**
 * Texts by the simple protocol: several statements, one that is not to be prepared, and those of the driver's own.
 */
import type { DbError, Outcome } from "../../../DbError.js"
import type { Done, Request } from "../../../driver/Driver.js"
import { emptyRows } from "../row.js"
import { copyError, decode, readError } from "./answer.js"
import type { ServerError } from "./codes.js"
import type { Channel } from "./exchange.js"
import { Exchange } from "./exchange.js"
import { localLimits } from "./limits.js"
import { Lookup } from "./lookup.js"
import type { DataRow } from "./reader.js"
import type { Field, ReadRow, Result } from "./shape.js"
import { noColumns, result, Shape, statementResult } from "./shape.js"
import type { Text } from "./text.js"
import { writer } from "./writer.js"

/** A text sent by the simple protocol: several statements, or one that is not to be prepared. */
export class Script extends Exchange {
  private readonly results: Array<Result> = []
  private rows: Array<unknown> = emptyRows()
  private shape: Shape = noColumns
  private read: ReadRow | undefined
  /** Results with columns of types that are not known yet: their rows are as they came. */
  private readonly raw: Array<{ readonly rows: Array<unknown>; readonly shape: Shape }> = []
  private fault: DbError | undefined
  private hasCommitted = false
  private readonly wasOpen: boolean
  /** The answer to what goes ahead has not been seen yet. */
  private isAhead: boolean

  /** @param ahead goes ahead in the same text, and so in the same implicit transaction; its answer is not given */
  constructor(
    channel: Channel,
    private readonly request: Pick<Request, "text" | "mode" | "safeIntegers">,
    private readonly text: Text,
    private readonly done: Done<unknown>,
    private readonly ahead = ""
  ) {
    super(channel)
    this.wasOpen = channel.session.transaction !== "idle"
    this.isAhead = ahead !== ""
  }

  start(): void {
    writer.query(this.ahead + this.request.text)
    this.sendStatement(this.text)
  }

  override described(fields: ReadonlyArray<Field> | undefined): void {
    this.shape = new Shape(fields ?? [])
    this.read = undefined
  }

  override row(row: DataRow): void {
    if (this.isAhead) return
    if (this.raw.at(-1)?.rows === this.rows) {
      this.rows.push(row.kept())
      return
    }
    try {
      this.read ??= this.shape.reader(this.request.mode, this.request.safeIntegers, this.channel.session.types)
      if (this.read === undefined) this.raw.push({ rows: this.rows, shape: this.shape })
      this.rows.push(this.read === undefined ? row.kept() : this.read(row))
    } catch (cause) {
      this.fault ??= readError(this.channel.session, cause, this.request.text)
    }
  }

  override complete(tag: string | undefined): void {
    if (this.isAhead) {
      this.isAhead = false
      return
    }
    this.hasCommitted ||= tag === "COMMIT"
    this.results.push(result(tag, this.rows, this.shape))
    this.rows = emptyRows()
    this.shape = noColumns
    this.read = undefined
  }

  override failed(error: ServerError): void {
    const position = Number(error.position) - this.ahead.length
    super.failed(
      // The server counts from the beginning of what was sent.
      this.ahead === "" || !(position > 0) ? error : Object.assign(error, { position: String(position) })
    )
  }

  override copyIn(): void {
    // The server fails it then, and with it what has not been committed.
    this.fault ??= copyError(this.channel.session, this.request.text, this.outcomeWhenRefused)
    writer.copyFail("not supported")
    this.channel.write()
  }

  override copyOut(): void {
    this.fault ??= copyError(this.channel.session, this.request.text, "Unknown")
  }

  private get outcomeWhenRefused(): Outcome {
    return this.hasCommitted || (!this.wasOpen && this.text.partial) ? "Unknown" : "RolledBack"
  }

  ready(): void {
    const { channel } = this
    const { session } = channel
    session.statementEnded(this.text)
    if (this.fault !== undefined) return this.done(this.fault, undefined)
    if (this.error !== undefined) {
      return this.done(
        channel.refused(this.error, {
          outcome: this.outcomeWhenRefused,
          statement: this.request.text,
          commit: this.text.commits
        }),
        undefined
      )
    }
    if (this.raw.length === 0) return this.answer()
    const oids = this.raw.flatMap(({ shape }) => shape.unknown(session.types))
    new Lookup(channel, oids, undefined, this.request.text, (failure) => {
      if (failure !== undefined) return this.done(failure, undefined)
      for (const { rows, shape } of this.raw) this.fault ??= decode(session, this.request, rows, shape)
      if (this.fault === undefined) this.answer()
      else this.done(this.fault, undefined)
    }).start()
  }

  private answer(): void {
    const { results } = this
    const first = results[0]
    if (results.length === 1 && this.text.commits && first!.command === "ROLLBACK") {
      return this.done(this.channel.session.failures.commitWasRollback(this.request.text), undefined)
    }
    if (this.request.mode === "raw") {
      return this.done(undefined, results.length === 1 ? first : results.length === 0 ? emptyResult : results)
    }
    if (this.request.mode === "result") {
      return this.done(undefined, statementResult(results.at(-1) ?? emptyResult))
    }
    this.done(undefined, results.length > 1 ? results.map((one) => one.rows) : first === undefined ? [] : first.rows)
  }

  lost(cause: Error | undefined): void {
    this.done(
      this.channel.broken(cause, {
        outcome: this.wasOpen && !this.text.commits ? "RolledBack" : "Unknown",
        statement: this.request.text,
        commit: this.text.commits && this.wasOpen
      }),
      undefined
    )
  }
}

const emptyResult = result(undefined, [], noColumns)

/** Runs a request by the simple protocol. A BEGIN and limits go ahead in exchanges of their own. */
export const runScript = (channel: Channel, request: Request, text: Text, done: Done<unknown>): void => {
  const { session } = channel
  const before: Array<string> = request.begin === undefined ? [] : [request.begin]
  if (request.begin !== undefined && session.carried !== undefined) before.push(...session.carried.begin)
  before.push(...localLimits(session, request, text))
  const ahead = session.carriedAhead(request, text)
  const start = (): void => new Script(channel, request, text, done, ahead === undefined ? "" : `${ahead}; `).start()
  if (before.length === 0) return start()
  channel.run(before.join("; "), (error) => {
    if (error !== undefined) return done(error, undefined)
    session.hasLimitsOf(request)
    start()
  })
}

/** Runs a text of the driver's own, of which only the success matters. */
export const runOwn = (channel: Channel, sql: string, done: (error: DbError | undefined) => void): void => {
  const text = channel.session.texts.of(sql)
  new Script(
    channel,
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
