/**
 * The statements outside of sessions that share one connection: each is sent behind those before it, and is answered for
 * itself, in order. What comes in one turn of the event loop is given to the driver at its end, and can be taken out before that.
 *
 * When the one that runs takes longer than it should, nothing more is sent behind it, and reads that were sent behind it
 * already are run on another connection.
 */
import type { DbError, Holder, TimeoutError } from "../../DbError.js"
import type * as Driver from "../../driver/Driver.js"
import { sendFailed } from "../error/engine.js"
import type { Borrower, PoolEntry } from "../pool/PoolEntry.js"
import { settleLimit } from "./Deadline.js"
import type { Pipelined, SharedText } from "./Pipelined.js"
import { recycle } from "./recycle.js"
import type { EngineContext } from "./Request.js"

const nothing = () => {}

/** What all pipelines of a database have in common. */
export interface PipelineContext {
  readonly depth: number
  /** How long the statements on one connection may take together, in milliseconds. */
  readonly budget: number
  readonly learn: (text: SharedText, millis: number) => void
  readonly began: (pipeline: Pipeline) => void
  readonly ended: (pipeline: Pipeline) => void
  /** It has something to send. */
  readonly gather: (pipeline: Pipeline) => void
}

/** A statement in a pipeline. */
export class Place {
  /** How long it is expected to take, in milliseconds. */
  readonly cost: number
  /** Its fiber does not wait for it any more, or not here. */
  isLetGo = false
  /** The driver has it. */
  isSent = false
  /** Told when it has ended, where it is being stopped: what shows that its cancel is settled stands behind others. */
  stopped: Driver.Done<void> | undefined = undefined

  constructor(
    readonly statement: Pipelined,
    readonly done: Driver.Done<unknown>,
    /** When its limit is reached, in the clock's milliseconds. */
    public deadline: number,
    /** When the server can have begun with it, in the clock's nanoseconds. */
    public begunAt: bigint
  ) {
    this.cost = statement.shared.millis
  }
}

export class Pipeline implements Borrower {
  /** In the order in which they came. The server works at the first one. */
  private readonly places: Array<Place> = []
  /** The last ones of them, which the driver has not been given, and those that were taken out before that. */
  private readonly unsent: Array<Place> = []
  /** The one that ended last, where none is left. */
  private lastPlace: Place | undefined = undefined
  /** How long they are expected to take together, in milliseconds. */
  work = 0
  /** Since when the first one is the first, in the clock's milliseconds. */
  private firstAt = 0
  /** How many cancels are under way: until none is, the connection is not for anything else, which they might hit. */
  private cancels = 0
  /** Until when they have to be settled, where none is left, in the clock's milliseconds. */
  private settledUntil = Infinity
  /** The first one takes too long. */
  private isOverdue = false
  private isGathering = false

  constructor(
    private readonly engine: EngineContext,
    private readonly sharing: PipelineContext,
    readonly entry: PoolEntry<Driver.Connection>
  ) {}

  /** Whether a statement can be sent behind those that are here. */
  takes({ request, shared }: Pipelined, now: number): boolean {
    const { connection } = this.entry
    return this.cancels === 0 && !this.isOverdue && this.places.length > 0 && this.places.length < this.sharing.depth &&
      this.work + shared.millis <= this.sharing.budget && now < this.overdueAt &&
      this.engine.pool.isFit(this.entry, now) &&
      connection.canPipeline?.(request) === true
  }

  /** Whether the first one is not known to take long, as far as a clock of whole milliseconds tells. */
  isQuick(now: number): boolean {
    return now - this.firstAt <= 1
  }

  /** When the first one has taken too long, in the clock's milliseconds. */
  private get overdueAt(): number {
    // It is asked only while there is one.
    return this.firstAt + this.sharing.budget + 4 * this.places[0]!.cost
  }

  /** Sends a statement behind those that are here, when this turn of the event loop ends. */
  send(statement: Pipelined, deadline: number, done: Driver.Done<unknown>): Place {
    const place = new Place(statement, done, deadline, this.engine.clock.unsafeCurrentTimeNanos())
    if (this.places.length === 0) {
      this.entry.borrower = this
      this.firstAt = this.entry.acquiredAt
      this.isOverdue = false
      this.sharing.began(this)
    }
    this.places.push(place)
    this.work += place.cost
    this.limitBy(deadline)
    if (this.places.length === 2) {
      this.limitBy(this.overdueAt)
    }
    this.unsent.push(place)
    if (!this.isGathering) {
      this.isGathering = true
      this.sharing.gather(this)
    }
    return place
  }

  /** Gives a statement to the driver. */
  private give(place: Place): void {
    const { statement } = place
    const { connection } = this.entry
    if (!connection.lost && !this.canStillSend(statement)) {
      return this.moveAway(place)
    }
    place.isSent = true
    try {
      // `takes`, or `Sharing.on`, has looked.
      connection.pipeline!(
        statement.request,
        (error, value) => this.answered(place, error, value),
        () => this.sentAgain(place)
      )
    } catch (cause) {
      this.failedToSend(place, cause)
    }
  }

  /** Whether nothing has come between that keeps a statement from being sent: a cancel, or the end of what was prepared. */
  private canStillSend({ request }: Pipelined): boolean {
    // A pool that is being closed has no other connection for it: the driver says what becomes of it.
    return !this.engine.pool.isOpen || (this.cancels === 0 && this.entry.connection.canPipeline?.(request) === true)
  }

  /** Nothing is known of the connection any more. */
  private failedToSend(place: Place, cause: unknown): void {
    this.entry.connection.destroy()
    if (this.places.includes(place)) {
      this.answered(place, sendFailed(this.engine.name, place.statement.request.text, cause), undefined)
    }
  }

  /** What the connection was acquired for was not sent after all. */
  leave(): void {
    if (this.places.length === 0) {
      recycle(this.engine, this.entry, nothing)
    }
  }

  flush(): void {
    const { unsent } = this
    const now = this.engine.clock.unsafeCurrentTimeMillis()
    // Others may come meanwhile, in the place of one that cannot be sent.
    for (let i = 0; i < unsent.length; i++) {
      const place = unsent[i]!
      if (place.deadline <= now) {
        place.deadline = Infinity
        place.statement.onDeadline()
      } else if (!place.isLetGo) {
        this.give(place)
      }
    }
    unsent.length = 0
    this.isGathering = false
    this.entry.connection.flush?.()
  }

  private answered(place: Place, error: DbError | undefined, value: unknown): void {
    const nanos = this.engine.clock.unsafeCurrentTimeNanos()
    if (error?._tag !== "ConnectionError") {
      // How soon a link is found broken says nothing of a statement.
      this.sharing.learn(place.statement.shared, Number(nanos - place.begunAt) / 1e6)
    }
    this.left(place, nanos)
    if (!place.isLetGo) {
      place.done(error, value)
      place.stopped?.(undefined, undefined)
    }
  }

  /** Takes out one that the driver has not been given. */
  private takeOut(place: Place): void {
    place.isLetGo = true
    place.deadline = Infinity
    this.left(place, this.engine.clock.unsafeCurrentTimeNanos())
  }

  /** One is not here any more. */
  private left(place: Place, nanos: bigint): void {
    const { clock, pool } = this.engine
    const { places } = this
    this.work -= place.cost
    if (places[0] === place) {
      this.next(nanos)
    } else {
      places.splice(places.indexOf(place), 1)
    }
    if (places.length === 0) {
      this.lastPlace = place
      if (this.cancels === 0) {
        this.end()
      } else {
        // Those of the statements have ended with them.
        this.entry.deadline = Infinity
        this.settledUntil = clock.unsafeCurrentTimeMillis() + settleLimit
        this.limitBy(this.settledUntil)
      }
    } else {
      pool.share(this.entry, this.firstAt)
    }
  }

  /** Nothing runs here any more. */
  private end(): void {
    this.work = 0
    this.sharing.ended(this)
    recycle(this.engine, this.entry, nothing)
    this.lastPlace = undefined
  }

  /** It stands behind the others now: the server works at another one, which may be let go and slow. */
  private sentAgain(place: Place): void {
    const { places } = this
    if (places[places.length - 1] === place) {
      return
    }
    if (place.isLetGo) {
      // It is stopped when the server comes to it.
      place.deadline = Infinity
    }
    if (places[0] === place) {
      places.push(place)
      this.next(this.engine.clock.unsafeCurrentTimeNanos())
    } else {
      places.splice(places.indexOf(place), 1)
      places.push(place)
    }
  }

  /** The first one is not the first any more: the next one is. */
  private next(nanos: bigint): void {
    const { clock, pool } = this.engine
    if (this.entry.leakReported && this.places.length > 1) {
      pool.passedOn(this.entry, clock.unsafeCurrentTimeMillis())
    }
    this.places.shift()
    const [first] = this.places
    this.isOverdue = false
    if (first !== undefined) {
      this.firstAt = clock.unsafeCurrentTimeMillis()
      this.entry.acquiredAt = this.firstAt
      first.begunAt = nanos
      if (first.isLetGo || this.places.length > 1) {
        this.limitBy(this.overdueAt)
      }
    }
  }

  // ---------------------------------------------------------------------------
  // time
  // ---------------------------------------------------------------------------

  /** Has the pool call at this moment, or before. What it is called for in vain, because a statement has ended, does no harm. */
  private limitBy(moment: number): void {
    if (moment < this.entry.deadline) {
      this.entry.deadline = moment
      this.engine.timer.at(moment)
    }
  }

  /** When it is to be called next. */
  private limitAgain(): void {
    this.entry.deadline = Infinity
    for (const { deadline } of this.places) {
      this.limitBy(deadline)
    }
    if (!this.isOverdue) {
      this.limitBy(this.overdueAt)
    }
  }

  onDeadline(now: number): void {
    for (const place of [...this.places]) {
      if (place.deadline <= now) {
        place.deadline = Infinity
        if (place.isLetGo) {
          // Its cancel had no effect.
          this.entry.connection.destroy()
        } else {
          place.statement.onDeadline()
        }
      }
    }
    const [first] = this.places
    if (first === undefined) {
      // Without a cancel the entry is not this pipeline's any more.
      if (this.cancels > 0) {
        if (now >= this.settledUntil) {
          this.entry.connection.destroy()
        } else {
          this.limitBy(this.settledUntil)
        }
      }
      return
    }
    if (!this.isOverdue && now >= this.overdueAt) {
      this.isOverdue = true
      // The answer may be here already, when the process was busy: it is read before this is called.
      setImmediate(() => {
        if (this.places[0] === first && this.isOverdue) {
          this.overdue(first)
        }
      })
    }
    this.limitAgain()
  }

  /** What runs takes too long for those behind it. */
  private overdue(first: Place): void {
    for (const place of this.places.slice(1)) {
      // A pool that is being closed would refuse it: it may still be answered here.
      if (!place.isLetGo && (place.statement.shared.isRead || !place.isSent) && this.engine.pool.isOpen) {
        this.moveAway(place)
      }
    }
    if (first.isLetGo) {
      this.cancelLetGo(first)
    }
  }

  /** It has to run on another connection. What was sent is answered here as well, in vain. */
  private moveAway(place: Place): void {
    if (place.isSent) {
      place.isLetGo = true
      place.deadline = Infinity
    } else {
      this.takeOut(place)
    }
    place.statement.moveOn()
  }

  /** The limit of one that runs here is another one now. */
  limit(place: Place, deadline: number): void {
    if (!place.isLetGo) {
      place.deadline = deadline
      this.limitBy(deadline)
    }
  }

  // ---------------------------------------------------------------------------
  // stopping
  // ---------------------------------------------------------------------------

  /**
   * Stops a statement on the server, where it is the one that runs and has reached its limit: `done` is called then, when nothing of
   * the cancel is under way any more. Otherwise gives the outcome of one whose answer is not waited for any more, and that is all:
   * `NotSent` where it was taken out before it was sent.
   */
  stop(place: Place, hasReachedLimit: boolean, done: Driver.Done<void>): "NotSent" | "Unknown" | undefined {
    if (!place.isSent) {
      this.takeOut(place)
      return "NotSent"
    }
    if (hasReachedLimit && this.places[0] === place) {
      place.stopped = done
      this.cancel(place, done)
      return undefined
    }
    place.isLetGo = true
    place.deadline = Infinity
    if (this.places[0] !== place) {
      return "Unknown"
    }
    if (this.isOverdue) {
      this.cancelLetGo(place)
    } else {
      this.limitBy(this.overdueAt)
    }
    return "Unknown"
  }

  private cancelLetGo(place: Place): void {
    place.deadline = this.engine.clock.unsafeCurrentTimeMillis() + settleLimit
    this.limitBy(place.deadline)
    this.cancel(place, nothing)
  }

  private cancel(place: Place, done: Driver.Done<void>): void {
    const { connection } = this.entry
    this.cancels++
    connection.cancel((error) => {
      this.cancels--
      if (error !== undefined && this.places.includes(place)) {
        // It cannot be stopped, and holds all that are behind it.
        connection.destroy()
      }
      done(error, undefined)
      if (this.places.length === 0) {
        if (this.cancels === 0 && this.lastPlace !== undefined) {
          this.end()
        }
      } else {
        this.engine.pool.share(this.entry, this.engine.clock.unsafeCurrentTimeMillis())
      }
    }, place.statement.request)
  }

  onCut(error: TimeoutError, how: "stop" | "drop"): void {
    for (const place of [...this.places]) {
      if (!place.isLetGo) {
        place.statement.onCut(error, how)
      }
    }
  }

  describe(now: number): Holder {
    // Asked when it is given back, it tells of what ran last. One of the two is there as long as it is a borrower.
    return (this.places[0] ?? this.lastPlace)!.statement.describe(now)
  }

  /** One that is not waited for here is told only where the server works at it. */
  describeAll(now: number): ReadonlyArray<Holder> {
    return this.places.filter(({ isLetGo }, at) => at === 0 || !isLetGo).map(({ statement }) => statement.describe(now))
  }
}
