/**
 * Which statements outside of sessions may share a connection, and with which: by what their text does, and by how long it
 * took so far.
 */
import type * as Driver from "../../driver/Driver.js"
import type { PoolEntry } from "../pool/PoolEntry.js"
import { Pipeline, type PipelineContext } from "./Pipeline.js"
import type { Pipelined, SharedText } from "./Pipelined.js"
import type { EngineContext } from "./Request.js"

/** Texts with literals in them must not fill the memory, nor may long ones: so many are remembered, of so many characters in all. */
const rememberedTexts = 4096
const rememberedLength = 8 * 1024 * 1024

/** So long may the statements on one connection take together at least, in milliseconds: what comes last waits as long. */
const leastWork = 20

/** ... and at most, where all of them take longer because the machine is busy. */
const mostWork = 100

/** What takes longer than this, in milliseconds, is slow by itself, and not because the machine is busy. */
const slow = mostWork / 2

/**
 * So long may the statements take together that travel in one write though other connections are idle, in milliseconds: a write of its
 * own, and the waking of another process of the server, take a part of that.
 */
const mostTogether = 2

/**
 * So long may the statements take together that are on their way on one connection, that another one is sent behind them though other
 * connections are idle, in milliseconds. A process of the server that is at work needs not be woken, and one that answers while this
 * process asks makes them both work at once. Of 0, 0.1, 0.3, 0.5, 1 and 2 all from 0.3 on gave the same.
 */
const mostBehind = 0.3

/** So many of the average statement may be on one connection, as far as {@link leastWork} and {@link mostWork} let them. */
const typicalDepth = 8

/** An engine whose statements may share connections. */
export interface SharingContext extends EngineContext {
  /** `undefined` where none may. */
  readonly sharing: Sharing | undefined
}

export class Sharing implements PipelineContext {
  /** `undefined`: it may not share. */
  private readonly texts = new Map<string, SharedText | undefined>()
  /** How long they are together, in characters. */
  private textsLength = 0
  /** Those in use, that others may join. */
  private readonly pipelines: Array<Pipeline> = []
  /** Those that have something to send when this turn of the event loop ends. */
  private gathering: Array<Pipeline> = []
  /** How long a statement takes on average that may share, in milliseconds. */
  private average = 0
  /** How long the statements on one connection may take together, in milliseconds. */
  budget = leastWork

  /**
   * `undefined` where no statements may share a connection: by the configuration, or as each use of one has to begin with a connection
   * that was looked at, or made as new.
   */
  static of(engine: EngineContext): Sharing | undefined {
    const { resetOnReturn, sharing, sharingDepth, validateAfter } = engine.config.pool
    const kindOf = engine.driver.sharing
    return sharing === "off" || kindOf === undefined || validateAfter === 0 || resetOnReturn === "discard"
      ? undefined
      : new Sharing(engine, kindOf, sharing, sharingDepth)
  }

  constructor(
    private readonly engine: EngineContext,
    private readonly sharing: (text: string) => "read" | "write" | undefined,
    private readonly mode: "reads" | "all",
    readonly depth: number
  ) {}

  /** What is known of the text of this request; `undefined` where it has to run alone. */
  textOf({ lockTimeout, prepare, statementTimeout, text }: Driver.Request): SharedText | undefined {
    if (!prepare || lockTimeout !== undefined || !this.keepsLimit(statementTimeout)) {
      return undefined
    }
    const known = this.texts.get(text)
    return known !== undefined || this.texts.has(text) ? known : this.look(text)
  }

  /** A limit is kept here, and not by the server: the one that the server has by its configuration must not come before it. */
  private keepsLimit(statementTimeout: number | undefined): boolean {
    const configured = this.engine.config.limits.statementTimeout
    return statementTimeout === undefined || configured === 0 || (statementTimeout > 0 && statementTimeout < configured)
  }

  private look(text: string): SharedText | undefined {
    const kind = this.sharing(text)
    const isShared = kind === "read" || (kind === "write" && this.mode === "all")
    const found = isShared ? { isRead: kind === "read", millis: Number.NaN } : undefined
    if (this.texts.size >= rememberedTexts || this.textsLength + text.length > rememberedLength) {
      this.texts.clear()
      this.textsLength = 0
    }
    this.texts.set(text, found)
    this.textsLength += text.length
    return found
  }

  /** A connection in use that this one shares though others are idle, because it costs less than to use one of them. */
  findCheaper(request: Pipelined, now: number): PoolEntry<Driver.Connection> | undefined {
    const { gathering, pipelines } = this
    if (pipelines.length === 0 || this.engine.pool.hasWaiters) {
      return undefined
    }
    const { millis } = request.shared
    const last = gathering.length === 0 ? undefined : gathering[gathering.length - 1]
    if (last !== undefined && last.work + millis <= mostTogether && last.takes(request, now)) {
      return this.join(last)
    }
    for (const pipeline of pipelines) {
      if (pipeline.work + millis <= mostBehind && pipeline.isQuick(now) && pipeline.takes(request, now)) {
        return this.join(pipeline)
      }
    }
    return undefined
  }

  /** The connection in use that this one can share; `undefined`: it has to wait for one. */
  find(request: Pipelined, now: number): PoolEntry<Driver.Connection> | undefined {
    if (!this.isShort(request.shared) || !this.engine.pool.isExhausted) {
      return undefined
    }
    // What is sent together anyway costs nothing more.
    for (const pipeline of this.gathering) {
      if (pipeline.takes(request, now)) {
        return this.join(pipeline)
      }
    }
    let least: Pipeline | undefined = undefined
    for (const pipeline of this.pipelines) {
      if ((least === undefined || pipeline.work < least.work) && pipeline.takes(request, now)) {
        least = pipeline
      }
    }
    return least === undefined ? undefined : this.join(least)
  }

  /** It is acquired without a wait, and counted so. */
  private join({ entry }: Pipeline): PoolEntry<Driver.Connection> {
    this.engine.pool.lends++
    return entry
  }

  /** Whether a connection in use can be shared by this one. */
  canJoin(request: Pipelined, entry: PoolEntry<Driver.Connection>): boolean {
    const { borrower } = entry
    return borrower instanceof Pipeline && this.isShort(request.shared) &&
      borrower.takes(request, this.engine.clock.unsafeCurrentTimeMillis())
  }

  /** The pipeline of a connection that was acquired for this one; `undefined` where it has to run alone there. */
  on(entry: PoolEntry<Driver.Connection>, request: Pipelined): Pipeline | undefined {
    if (entry.borrower instanceof Pipeline) {
      return entry.borrower
    }
    // Behind what was never measured, or is slow, nothing is sent.
    if (!this.isShort(request.shared) || entry.connection.canPipeline?.(request.request) !== true) {
      return undefined
    }
    if (entry.pipeline instanceof Pipeline) {
      return entry.pipeline
    }
    const pipeline = new Pipeline(this.engine, this, entry)
    entry.pipeline = pipeline
    return pipeline
  }

  /** A statement has run for so long. */
  learn(text: SharedText, millis: number): void {
    if (Number.isNaN(text.millis) || millis > slow) {
      // Once is enough to be slow.
      text.millis = millis
    } else {
      // What a busy process or machine adds varies, and is not the statement's: the quick runs tell more of it than the others.
      text.millis += (millis - text.millis) / (millis < text.millis ? 4 : 32)
    }
    this.average += (Math.min(millis, slow) - this.average) / 64
    this.budget = Math.min(Math.max(this.average * typicalDepth, leastWork), mostWork)
  }

  /** Whether there is time for another one beside it. */
  private isShort({ millis }: SharedText): boolean {
    return millis * 2 <= this.budget
  }

  // ---------------------------------------------------------------------------
  // what the pipelines tell
  // ---------------------------------------------------------------------------

  began(pipeline: Pipeline): void {
    this.pipelines.push(pipeline)
  }

  ended(pipeline: Pipeline): void {
    const at = this.pipelines.indexOf(pipeline)
    const last = this.pipelines.pop()!
    if (last !== pipeline) {
      this.pipelines[at] = last
    }
  }

  /** It has something to send: together with what comes before the event loop goes on. */
  gather(pipeline: Pipeline): void {
    if (this.gathering.push(pipeline) === 1) {
      setImmediate(() => this.flush())
    }
  }

  private flush(): void {
    const { gathering } = this
    this.gathering = []
    for (const pipeline of gathering) {
      pipeline.flush()
    }
  }
}
