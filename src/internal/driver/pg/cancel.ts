/**
 * Stopping what runs: a CancelRequest on a socket of its own, and the wait until it cannot hit anything any more.
 */
import type { Socket } from "node:net"
import type { DbError } from "../../../DbError.js"
import type { ServerError } from "./codes.js"
import type { Route } from "./route.js"
import { connect } from "./route.js"

/** A cancel that came too early (the statement had not arrived) is sent again after this many milliseconds. */
const again = 200

/** So long may the server take to close the link of a cancel, in milliseconds. Until then its signal may come at any time. */
const longest = 2_000

/** What a cancel needs of the connection whose statement it stops. */
export interface Options {
  readonly route: Route
  readonly id: number
  readonly secret: number
  readonly isRunning: () => boolean
  /** Registers what is called when the running statement has ended. */
  readonly onEnded: (ended: () => void) => void
  /** One round trip on the connection itself. */
  readonly settle: (settled: (error: ServerError | DbError | undefined) => void) => void
  readonly done: (error: Error | undefined) => void
  /** It is not known when it will be over. */
  readonly stuck: () => void
}

/**
 * A cancel under way. The server closes the socket after it has sent the signal; once the statement has ended as well,
 * one round trip shows that the signal was taken: a signal that finds no statement is dropped by the server before the
 * next one begins.
 */
export class Cancel {
  private socket: Socket | undefined
  private timer: NodeJS.Timeout | undefined
  private isOver = false
  private readonly waiting: Array<(error: Error | undefined) => void>

  constructor(private readonly options: Options) {
    this.waiting = [options.done]
  }

  /** Another asks for the same. */
  also(done: (error: Error | undefined) => void): void {
    this.waiting.push(done)
  }

  start(): void {
    const { id, route, secret } = this.options
    let failure: Error | undefined
    const socket = connect(route, (ready) => {
      const message = Buffer.allocUnsafe(16)
      message.writeInt32BE(16, 0)
      message.writeInt32BE(80877102, 4)
      message.writeInt32BE(id, 8)
      message.writeInt32BE(secret, 12)
      ready.write(message)
      // The server only closes; without a reader that would not be noticed.
      ready.resume()
    })
    this.socket = socket
    const stuck = setTimeout(() => this.options.stuck(), longest)
    socket.on("error", (error) => {
      failure = error
    })
    socket.once("close", () => {
      clearTimeout(stuck)
      if (this.socket !== socket) return
      this.socket = undefined
      // ECONNRESET is how some servers and proxies close after a cancel.
      if (failure !== undefined && (failure as NodeJS.ErrnoException).code !== "ECONNRESET") this.finish(failure)
      else this.delivered()
    })
  }

  private delivered(): void {
    if (this.isOver) return
    if (!this.options.isRunning()) return this.settle()
    this.options.onEnded(() => {
      clearTimeout(this.timer)
      if (this.isOver || this.socket !== undefined) return
      // Several steps or statements: the next one runs already, and this signal was taken.
      if (this.options.isRunning()) this.start()
      else this.settle()
    })
    this.timer = setTimeout(() => {
      if (this.options.isRunning()) this.start()
    }, again)
  }

  private settle(): void {
    if (this.isOver) return
    this.options.settle((error) => {
      // The late signal has hit the round trip instead: it is spent now, but another may be on its way.
      if (error !== undefined && !("_tag" in error) && error.code === "57014") this.settle()
      else this.finish(error)
    })
  }

  private finish(error: Error | undefined): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.timer)
    for (const done of this.waiting) done(error)
  }

  /** The connection is gone, and with it what was to be stopped. */
  abort(): void {
    const socket = this.socket
    this.socket = undefined
    socket?.destroy()
    this.finish(new Error("the connection was closed"))
  }
}

/** A cancel under way, and what it is meant for, where that is one of several. */
interface Aimed<Exchange> {
  readonly cancel: Cancel
  readonly target: Exchange | undefined
  onEnded: (() => void) | undefined
}

/**
 * The cancels that are under way on a connection, and what waits for the end of all. At most one is for a target; the next one of several
 * may have to be stopped before it is settled that the cancel of the first cannot hit it.
 */
export class Cancelling<Exchange extends { readonly settled: () => void }> {
  private running: Array<Aimed<Exchange>> = []
  private waiting: Array<Exchange> = []
  /** Asked with each statement. */
  isUnderWay = false

  /** Whether one may hit this exchange in place of the one that it is meant for. */
  mayHit(exchange: Exchange): boolean {
    return this.running.some(({ target }) => target !== undefined) &&
      this.running.every(({ target }) => target !== exchange)
  }

  /** Begins one, or joins the one that is under way for the same target. */
  start(options: Omit<Options, "onEnded">, target: Exchange | undefined): void {
    const same = this.running.find((other) => other.target === target)
    if (same !== undefined) return same.cancel.also(options.done)
    const aimed: Aimed<Exchange> = {
      target,
      onEnded: undefined,
      cancel: new Cancel({
        ...options,
        onEnded: (ended) => {
          aimed.onEnded = ended
        },
        done: (error) => {
          this.running = this.running.filter((other) => other !== aimed)
          this.isUnderWay = this.running.length > 0
          options.done(error)
          if (this.running.length === 0) { for (const exchange of this.waiting.splice(0)) exchange.settled() }
        }
      })
    }
    this.running.push(aimed)
    this.isUnderWay = true
    aimed.cancel.start()
  }

  /** Tells it when none is under way: at once where none is. */
  whenSettled(exchange: Exchange): void {
    if (this.running.length === 0) exchange.settled()
    else this.waiting.push(exchange)
  }

  /** Gives the one that waits and is meant; it does not wait any more. */
  takeWaiting(isMeant: (exchange: Exchange) => boolean): Exchange | undefined {
    const at = this.waiting.findIndex(isMeant)
    return at < 0 ? undefined : this.waiting.splice(at, 1)[0]
  }

  /** What the server worked at has ended. */
  exchangeEnded(): void {
    for (const aimed of this.running) {
      const ended = aimed.onEnded
      if (ended === undefined) continue
      aimed.onEnded = undefined
      // After the exchange has told its owner.
      queueMicrotask(ended)
    }
  }

  abort(): void {
    for (const { cancel } of this.running) cancel.abort()
  }
}
