/**
 * Rows that are fetched bit by bit.
 */
import type { DbError } from "../../../DbError.js"
import type { Cursor, Done, Fetched, Request } from "../../../driver/Driver.js"
import { emptyRows, fetched, noMore } from "../row.js"
import type { ServerError } from "./codes.js"
import type { Channel, Exchange } from "./exchange.js"
import { Extended } from "./extended.js"
import type { DataRow } from "./reader.js"
import type { Text } from "./text.js"
import type { Params } from "./values.js"
import { writer } from "./writer.js"

/** Rows of the first fetch: as nothing is known of their size. */
const firstRows = 64

/** What a further fetch is to bring, in bytes: enough that the round trip does not count, and memory stays flat. */
const fetchBytes = 256 * 1024

/**
 * A statement whose rows are fetched bit by bit, through a portal of its own. In a transaction other statements may
 * run between the fetches; outside one the portal lives only as long as no Sync is sent.
 */
export class PortalCursor extends Extended implements Cursor {
  readonly interleaves: boolean
  private state: "new" | "open" | "closed" = "new"
  private portal = ""
  private isFinished = false
  private isSecondRun = false
  private count = 0
  /** The rows that a fetch asks the server for, and the bytes that have come of them. */
  private most = firstRows
  private received = 0
  private onFetched: Done<Fetched> | undefined
  private onClosed: Done<void> | undefined

  constructor(channel: Channel, request: Request, text: Text, params: Params) {
    super(channel, request, text, params)
    this.interleaves = request.begin !== undefined || channel.session.transaction !== "idle"
  }

  fetch(count: number, done: Done<Fetched>): void {
    const { channel } = this
    if (this.state === "closed") return done(undefined, noMore)
    const unusable = channel.unusable(this.request.text)
    if (unusable !== undefined) {
      this.state = "closed"
      return done(unusable, noMore)
    }
    this.onFetched = done
    this.count = count
    const rows = Math.min(count, this.most)
    if (this.state === "new") {
      this.portal = channel.session.prepared.nextName()
      this.compose(this.portal, rows)
      this.state = "open"
    } else {
      this.rows = emptyRows()
      writer.execute(this.portal, rows)
      this.end()
    }
    this.sendStatement(this.text, this.interleaves ? undefined : this)
  }

  protected end(): void {
    if (this.interleaves) writer.sync()
    else writer.flush()
  }

  protected finished(_tag: string | undefined): void {
    this.isFinished = true
    this.state = "closed"
    if (this.interleaves) this.channel.session.prepared.closePortalLater(this.portal)
    else this.sync()
  }

  override row(row: DataRow): void {
    this.received += row.length
    super.row(row)
  }

  override suspended(): void {
    this.most = Math.max(Math.ceil(fetchBytes * this.rows.length / this.received), 1)
    this.received = 0

    // Without a Sync there is no ReadyForQuery to wait for.
    if (!this.interleaves) {
      this.channel.paused(this)
      this.fetched(this)
    }
  }

  override failed(error: ServerError): void {
    const isFirst = this.error === undefined
    const wasUnbound = this.unbound !== undefined
    super.failed(error)
    if (isFirst && !wasUnbound && !this.interleaves && this.onClosed === undefined && !this.isFinished) this.sync()
  }

  /** `beside`: the portal is open, and a Sync would end it. */
  private fetched(beside?: Exchange): void {
    this.settle(beside, (failure) => {
      if (failure !== undefined) return this.fail(failure)
      const done = this.onFetched
      this.onFetched = undefined
      done?.(undefined, fetched(this.rows, this.isFinished))
    })
  }

  ready(): void {
    this.channel.session.statementEnded(this.text)
    const closed = this.onClosed
    if (closed !== undefined) {
      this.onClosed = undefined
      return closed(this.error === undefined ? undefined : this.refusal(this.error))
    }
    if (this.fault !== undefined) return this.fail(this.fault)
    if (this.error === undefined) return this.fetched()
    const stale = this.isSecondRun ? undefined : this.staleness(this.error)
    if (stale === undefined) return this.fail(this.refusal(this.error))
    if (this.wasOpen) return this.fail(this.staleFailure(this.error, stale))
    // Nothing of it has run: begin again.
    this.isSecondRun = true
    this.beginAgain((failure) => {
      if (failure !== undefined) return this.fail(failure)
      this.state = "new"
      // A close that was asked for meanwhile had to wait for this fetch.
      this.fetch(this.count, this.onFetched!)
    })
  }

  private fail(error: DbError): void {
    this.state = "closed"
    const done = this.onFetched
    this.onFetched = undefined
    done?.(error, noMore)
  }

  lost(cause: Error | undefined): void {
    this.state = "closed"
    const error = this.channel.broken(cause, {
      outcome: this.outcomeWhenLost(this.isFinished),
      statement: this.request.text,
      commit: false
    })
    const onFetched = this.onFetched
    const closed = this.onClosed
    this.onFetched = undefined
    this.onClosed = undefined
    onFetched?.(error, noMore)
    closed?.(error)
  }

  close(done: Done<void>): void {
    const { channel } = this
    const isOpen = this.state === "open"
    this.state = "closed"
    // Without its transaction the portal is gone already.
    if (!isOpen || channel.lost || (this.interleaves && channel.session.transaction !== "open")) return done(undefined)
    this.onClosed = done
    this.error = undefined
    writer.closePortal(this.portal)
    writer.sync()
    channel.send(this, this)
  }
}
