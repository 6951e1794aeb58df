/**
 * Statements that are sent behind others which have not been answered.
 */
import type { Done, Request } from "../../../driver/Driver.js"
import type { ServerError } from "./codes.js"
import type { Channel } from "./exchange.js"
import { Statement } from "./statement.js"
import type { Text } from "./text.js"
import type { Params } from "./values.js"
import { writer } from "./writer.js"

/** The SQLSTATE of a statement that was stopped: `query_canceled`. */
const queryCanceled = "57014"

/** They are the caller's to keep: what the server would do for one statement would hold for those behind it. */
const withoutLimits = (request: Request): Request =>
  request.statementTimeout === undefined && request.lockTimeout === undefined
    ? request
    : { ...request, statementTimeout: undefined, lockTimeout: undefined }

/** Each ends with a Sync of its own, and may be hit by a cancel that is meant for another one. */
export class PipelinedStatement extends Statement {
  override isGathered = true
  /** What was sent only prepares it. */
  private isPreparing = false

  // eslint-disable-next-line @typescript-eslint/max-params -- one after the other, not in an object: one is made for each statement
  constructor(
    channel: Channel,
    private readonly asked: Request,
    text: Text,
    params: Params,
    done: Done<unknown>,
    /** Told that it stands behind all others from now on. */
    private readonly onAgain: (() => void) | undefined
  ) {
    super(channel, withoutLimits(asked), text, params, done)
  }

  override isOf(request: Request): boolean {
    return this.asked === request
  }

  /** In a round trip of its own: what is sent behind it must not come between its Parse and its Bind. */
  protected override askTypes(): void {
    this.isPreparing = true
    writer.sync()
  }

  override ready(): void {
    const { isPreparing } = this
    this.isPreparing = false
    if (!isPreparing || this.error !== undefined) return super.ready()
    this.onAgain?.()
    this.isGathered = false
    this.start()
  }

  override lost(cause: Error | undefined): void {
    if (this.isPreparing) this.isUnreached = true
    super.lost(cause)
  }

  protected override refuse(error: ServerError): void {
    // The server has undone it: only what is plain gets here. What it has undone a whole transaction for is not run again.
    if (error.code === queryCanceled && !this.wasOpen && this.channel.isHit(this)) this.again()
    else super.refuse(error)
  }

  /** Nothing is sent beside a cancel, which might hit it. */
  protected override again(): void {
    this.onAgain?.()
    this.channel.whenSettled(this)
  }

  override settled(): void {
    const failure = this.channel.lost ? this.channel.unusable(this.request.text) : undefined
    if (failure !== undefined) return this.done(failure, undefined)
    this.isGathered = false
    this.start()
  }

  /** It ends with the error for which it would have been sent again: the server has undone it, or had not begun with it. */
  override stopped(): void {
    // Only what has failed is sent again.
    this.done(this.refusal(this.error!), undefined)
  }
}
