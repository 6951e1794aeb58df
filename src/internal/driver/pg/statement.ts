/**
 * One statement by the extended protocol, with all its rows.
 */
import type { Done, Request } from "../../../driver/Driver.js"
import type { ServerError } from "./codes.js"
import type { Channel } from "./exchange.js"
import { Extended } from "./extended.js"
import { parsePosition } from "./position.js"
import type { DataRow } from "./reader.js"
import type { Prepared } from "./session.js"
import { result, statementResult } from "./shape.js"
import type { Text } from "./text.js"
import type { Params } from "./values.js"
import { writer } from "./writer.js"

export class Statement extends Extended {
  private tag: string | undefined
  isCompleted = false
  /** Others share its round trip, which ends behind the last of them. */
  private isPart = false
  private isSecondRun = false

  constructor(
    channel: Channel,
    request: Request,
    text: Text,
    params: Params,
    protected readonly done: Done<unknown>
  ) {
    super(channel, request, text, params)
  }

  start(): void {
    this.tag = undefined
    this.isCompleted = false
    this.compose("", 0)
    this.sendStatement(this.text)
  }

  /**
   * Writes it as a part of a round trip of several.
   *
   * @param isWithin a transaction is open, or will be when it comes to this one
   */
  composePart(parsed: Map<string, Prepared>, isWithin: boolean): void {
    this.parsedBefore = parsed
    this.isPart = true
    this.compose("", 0)
    this.wasOpen ||= isWithin
    this.parsedBefore = undefined
    // Run again, it stands for itself.
    this.isPart = false
  }

  protected end(): void {
    if (this.request.onPosition !== undefined) this.positionBehind()
    if (!this.isPart) writer.sync()
  }

  protected finished(tag: string | undefined): void {
    // That of the question behind it says nothing of the statement.
    if (!this.isCompleted) this.tag = tag
    this.isCompleted = true
  }

  override row(row: DataRow): void {
    const { onPosition } = this.request
    if (onPosition === undefined) return super.row(row)
    // A COMMIT has no rows: this one is of the question behind it.
    onPosition(parsePosition(String(row.texts()[0])))
  }

  override failed(error: ServerError): void {
    if (!this.isAnswered) super.failed(error)
  }

  /** The server's word on the COMMIT is there, whatever becomes of the question behind it. */
  private get isAnswered(): boolean {
    return this.request.onPosition !== undefined && this.isCompleted
  }

  ready(): void {
    const { session } = this.channel
    session.statementEnded(this.text)
    if (this.error !== undefined) return this.refuse(this.error)
    if (this.fault !== undefined) return this.done(this.fault, undefined)
    if (this.text.commits && this.tag === "ROLLBACK") {
      return this.done(session.failures.commitWasRollback(this.request.text), undefined)
    }
    this.settle(undefined, (failure) => failure === undefined ? this.answer() : this.done(failure, undefined))
  }

  private answer(): void {
    this.done(undefined, this.value)
  }

  private get value(): unknown {
    switch (this.request.mode) {
      case "raw":
        return result(this.tag, this.rows, this.shape)
      case "result":
        return statementResult(result(this.tag, this.rows, this.shape))
      default:
        return this.rows
    }
  }

  protected refuse(error: ServerError): void {
    if (this.fault !== undefined) return this.done(this.fault, undefined)
    const stale = this.isSecondRun ? undefined : this.staleness(error)
    if (stale !== undefined) {
      if (this.wasOpen) return this.done(this.staleFailure(error, stale), undefined)
      // Nothing of it has run: begin again.
      this.isSecondRun = true
      return this.beginAgain((failure) => failure === undefined ? this.again() : this.done(failure, undefined))
    }
    this.done(this.refusal(error), undefined)
  }

  protected again(): void {
    this.start()
  }

  override isOf(request: Request): boolean {
    return this.request === request
  }

  lost(cause: Error | undefined): void {
    if (this.isAnswered) return this.ready()
    this.done(
      this.channel.broken(cause, {
        outcome: this.outcomeWhenLost(this.isCompleted),
        statement: this.request.text,
        commit: this.text.commits && this.wasOpen
      }),
      undefined
    )
  }
}
