/**
 * The connections of an engine: acquires, releases, validates and evicts them. Knows no SQL.
 *
 * The state is plain data: a stack of idle entries (last in, first out: the warmest connection is used again and the
 * rest may go), a queue of waiters (first come, first served), and counts. Every change is synchronous, so there is
 * nothing to lock; what takes time (opening, validating, closing) is detached from the fiber that needs it and comes
 * back as a call. Each entry is in exactly one state at any time: idle, in use, or busy (validated or reset).
 */

/* eslint-disable max-lines -- the states of an entry and all transitions between them, which are to be read together */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type * as DbConfig from "../../DbConfig.js"
import type { ConnectionError, DbError, Holder, TimeoutError } from "../../DbError.js"
import type { PoolSnapshot } from "../../DbMetrics.js"
import { acquireTimeout, closed, cut, deadlock, overloaded } from "../error/engine.js"
import { settleLimit } from "../request/Deadline.js"
import { ClosingConnections } from "./ClosingConnections.js"
import { CoDel } from "./CoDel.js"
import { Connector } from "./Connector.js"
import type { DeadlineTimer, Fork } from "./DeadlineTimer.js"
import { Eviction } from "./Eviction.js"
import { LeakDetection } from "./LeakDetection.js"
import { type ConnectionFactory, PoolEntry, type Waiter } from "./PoolEntry.js"
import { Shutdown } from "./Shutdown.js"
import { WaitQueue } from "./WaitQueue.js"

/** What a pool runs by. */
export interface PoolRuntime {
  readonly clock: Clock.Clock
  readonly timer: DeadlineTimer
  readonly fork: Fork
  /** Uniform in [0, 1): for the jitter of lifetimes. */
  readonly random: () => number
}

export class Pool<C> {
  readonly entries = new Set<PoolEntry<C>>()
  private readonly idle: Array<PoolEntry<C>> = []
  private readonly waiters: WaitQueue<C>
  private readonly connector: Connector<C>
  private nextId = 1
  /** Rises with each loss: entries of an older generation are validated before they are used again. */
  private generation = 0
  private readonly shutdown: Shutdown
  private readonly closingConnections: ClosingConnections<C>
  private readonly eviction: Eviction
  inUse = 0
  /** How often a connection was acquired. */
  lends = 0
  invalidated = 0
  timeouts = 0
  /** When a wait last reached its limit. */
  timedOutAt = -Infinity
  readonly capacity: number
  private readonly size: number
  private readonly reserved: number
  private readonly clock: Clock.Clock
  private readonly timer: DeadlineTimer
  private readonly leaks: LeakDetection<C>
  /** An entry is being handed on, perhaps to one that gives it back at once. */
  private isHandingOn = false
  /** Those that were given back meanwhile, since when they were idle, and whether they were validated. */
  private readonly returnedMeanwhile: Array<readonly [entry: PoolEntry<C>, idleSince: number, isValidated: boolean]> =
    []

  constructor(
    readonly database: string,
    private readonly settings: DbConfig.Pool,
    capacity: { readonly size: number; readonly total: number; readonly reserved: number },
    private readonly factory: ConnectionFactory<C>,
    { clock, fork, random, timer }: PoolRuntime
  ) {
    this.clock = clock
    this.timer = timer
    this.size = capacity.size
    this.capacity = capacity.total
    this.reserved = capacity.reserved
    this.waiters = new WaitQueue(database, settings.shedding === undefined ? undefined : new CoDel(settings.shedding))
    this.eviction = new Eviction(settings, capacity.size, random)
    this.leaks = new LeakDetection(settings.leakThreshold, factory)
    this.shutdown = new Shutdown({
      refuse: () => {
        this.waiters.drain((waiter) => waiter.onRefused(closed(database)))
        this.connector.stop()
        for (const entry of this.idle.splice(0)) {
          this.closeEntry(entry, true)
        }
      },
      isDrained: () => this.entries.size === 0 && this.closingConnections.size === 0 && this.connector.count === 0,
      cut: (limit, how) => this.cutAll(limit, how)
    })
    this.closingConnections = new ClosingConnections(factory, clock, timer, () => this.shutdown.check())
    this.connector = new Connector(factory, clock, fork, {
      isWanted: () => this.waiters.size > 0 && this.shutdown.isOpen,
      opened: (connection, millis) => this.opened(connection, millis),
      failed: (error) => {
        factory.onOpenFailed(error)
        this.waiters.refuse((waiter) => waiter.failFast, () => error)
      },
      gaveUp: (error) => {
        if (error !== undefined) {
          // Every waiter would meet the same refusal; a transient one has exhausted its schedule.
          this.waiters.drain((waiter) => waiter.onRefused(error))
        }
        this.replace()
      },
      ended: () => this.shutdown.check()
    })
  }

  // ---------------------------------------------------------------------------
  // acquire and release
  // ---------------------------------------------------------------------------

  /** An idle connection that may be used without validation; `undefined` means: `acquire`. */
  tryAcquire(now: number): PoolEntry<C> | undefined {
    const { idle } = this
    // An index of -1 is none of an array's, and V8 is slow to find nothing there.
    if (idle.length === 0 || this.waiters.head !== undefined) {
      return undefined
    }
    const entry = idle[idle.length - 1]!
    if (
      entry.generation !== this.generation ||
      now - entry.idleSince >= this.settings.validateAfter || now >= entry.expiresAt || !this.shutdown.isOpen
    ) {
      return undefined
    }
    idle.pop()
    this.markInUse(entry, now)
    return entry
  }

  /** Serves the waiter at once, or lets it wait. Calls one of its two callbacks, exactly once, unless `withdraw`. */
  acquire(waiter: Waiter<C>): void {
    const now = this.clock.unsafeCurrentTimeMillis()
    waiter.waitingSince = now
    if (!this.shutdown.isOpen) {
      return waiter.onRefused(closed(this.database))
    }
    const entry = this.tryAcquire(now)
    if (entry !== undefined) {
      return waiter.onEntry(entry)
    }
    if (this.idle.length === 0) {
      const refusal = this.refusal(waiter, now)
      if (refusal !== undefined) {
        return waiter.onRefused(refusal)
      }
    }
    this.waiters.add(waiter)
    this.timer.at(waiter.waitDeadline)
    this.serveWaiters(now)
  }

  /** Whether connections can be acquired: not any more once it is being closed. */
  get isOpen(): boolean {
    return this.shutdown.isOpen
  }

  get hasWaiters(): boolean {
    return this.waiters.head !== undefined
  }

  /** Whether it is time to share: no connection is idle, none will be opened for one that asks now, and the queue is empty. */
  get isExhausted(): boolean {
    return this.idle.length === 0 && this.waiters.head === undefined && this.shutdown.isOpen &&
      this.entries.size + this.connector.count >= this.size
  }

  /** Whether an entry in use may get further users: its time has not come, and nothing is doubted of it. */
  isFit(entry: PoolEntry<C>, now: number): boolean {
    return now < entry.expiresAt && entry.generation === this.generation && this.shutdown.isOpen &&
      !this.factory.isLost(entry.connection)
  }

  /** Gives an entry in use to waiters that can share it, in their turn. */
  share(entry: PoolEntry<C>, now: number): void {
    for (
      let waiter = this.waiters.nextToJoin(entry, now);
      waiter !== undefined;
      waiter = this.waiters.nextToJoin(entry, now)
    ) {
      this.lends++
      waiter.onEntry(entry)
    }
  }

  /** What was reported to hold an entry for long leaves it to those that share it, which have not held it for as long. */
  passedOn(entry: PoolEntry<C>, now: number): void {
    this.leaks.returned(entry, now)
    entry.leakReported = false
    this.timer.at(now + this.settings.leakThreshold)
  }

  /** Removes a waiter from the queue (its fiber was interrupted). A connection being opened for it goes to the next. */
  withdraw(waiter: Waiter<C>): void {
    this.waiters.remove(waiter)
  }

  /** Takes back a clean connection. */
  release(entry: PoolEntry<C>): void {
    if (entry.state === "gone") {
      return
    }
    const now = this.clock.unsafeCurrentTimeMillis()
    this.returned(entry, now)
    this.reuse(entry, now, now, false)
  }

  /** Keeps a returned entry back while it is being cleaned; `release` or `evict` follows. */
  setBusy(entry: PoolEntry<C>, limit: number): void {
    if (entry.state !== "inUse") {
      return
    }
    const now = this.clock.unsafeCurrentTimeMillis()
    this.returned(entry, now)
    entry.deadline = now + limit
    this.timer.at(entry.deadline)
  }

  /** Closes a connection that must not be used again. */
  evict(entry: PoolEntry<C>, isGraceful: boolean): void {
    if (entry.state === "gone") {
      return
    }
    if (entry.state === "inUse") {
      this.returned(entry, this.clock.unsafeCurrentTimeMillis())
    } else if (entry.state === "idle") {
      this.idle.splice(this.idle.indexOf(entry), 1)
    }
    this.invalidated++
    if (!isGraceful) {
      // It did not answer, or could not be cleaned, and was dropped: that may have happened to the others too.
      this.generation++
    }
    this.closeEntry(entry, isGraceful)
    this.replace()
  }

  /** A connection broke: whatever broke it may have broken the others, so they are validated before the next use. */
  lost(entry: PoolEntry<C>): void {
    this.generation++
    // An entry that is in use or busy is evicted by its request, when that has failed.
    if (entry.state === "idle") {
      this.evict(entry, false)
    }
  }

  // ---------------------------------------------------------------------------
  // opening and closing
  // ---------------------------------------------------------------------------

  /** Opens one connection now, for the start of the layer; its failure is the caller's. */
  get openOne(): Effect.Effect<void, ConnectionError | TimeoutError> {
    return this.connector.openOne
  }

  /** Refuses new borrowers, waits for the present ones up to the limit, cuts the rest. True when none was cut. */
  close(limit: number): Effect.Effect<boolean> {
    return this.shutdown.run(limit)
  }

  private cutAll(limit: number, how: "stop" | "drop"): void {
    for (const entry of [...this.entries]) {
      entry.borrower?.onCut(cut(this.database, limit), how)
      if (entry.borrower === undefined || how === "drop") {
        this.closeEntry(entry, false)
      }
    }
    if (how === "drop") {
      this.closingConnections.destroyAll()
    }
  }

  // ---------------------------------------------------------------------------
  // figures
  // ---------------------------------------------------------------------------

  /** How many wait for a connection. */
  get waiting(): number {
    return this.waiters.size
  }

  get figures(): PoolSnapshot {
    const now = this.clock.unsafeCurrentTimeMillis()
    return {
      size: this.size,
      capacity: this.capacity,
      open: this.entries.size,
      idle: this.idle.length,
      inUse: this.inUse,
      opening: this.connector.count,
      waiting: this.waiters.size,
      overflow: Math.max(this.entries.size - this.size, 0),
      invalidated: this.invalidated,
      timeouts: this.timeouts,
      longestWaitMillis: this.waiters.head === undefined ? 0 : now - this.waiters.head.waitingSince
    }
  }

  get holders(): ReadonlyArray<Holder> {
    const now = this.clock.unsafeCurrentTimeMillis()
    const holders: Array<Holder> = []
    for (const entry of this.entries) {
      const { borrower } = entry
      if (borrower?.describeAll !== undefined) {
        holders.push(...borrower.describeAll(now))
      } else if (borrower !== undefined) {
        holders.push(borrower.describe(now))
      }
    }
    return holders
  }

  // ---------------------------------------------------------------------------
  // transitions
  // ---------------------------------------------------------------------------

  private markInUse(entry: PoolEntry<C>, now: number): void {
    entry.state = "inUse"
    entry.acquiredAt = now
    entry.deadline = Infinity
    entry.leakReported = false
    this.inUse++
    this.lends++
    if (this.settings.leakThreshold > 0) {
      this.timer.at(now + this.settings.leakThreshold)
    }
  }

  private returned(entry: PoolEntry<C>, now: number): void {
    if (entry.state === "inUse") {
      this.inUse--
      this.leaks.returned(entry, now)
    }
    entry.state = "busy"
    entry.borrower = undefined
    entry.deadline = Infinity
    entry.queueDeadline = Infinity
  }

  /** A clean entry is handed to the first waiter, made idle, or closed. */
  private reuse(entry: PoolEntry<C>, now: number, idleSince = now, isValidated = true): void {
    if (this.isHandingOn) {
      // Of one that was done with it at once. The first goes on: thousands in a row would be as many calls in one another.
      this.returnedMeanwhile.push([entry, idleSince, isValidated])
      return
    }
    this.isHandingOn = true
    try {
      this.handOn(entry, now, idleSince, isValidated)
      for (let next = this.returnedMeanwhile.shift(); next !== undefined; next = this.returnedMeanwhile.shift()) {
        this.handOn(next[0], this.clock.unsafeCurrentTimeMillis(), next[1], next[2])
      }
    } finally {
      this.isHandingOn = false
    }
  }

  private handOn(entry: PoolEntry<C>, now: number, idleSince: number, isValidated: boolean): void {
    if (
      !isValidated && now - idleSince >= this.settings.validateAfter && this.waiters.head !== undefined &&
      this.shutdown.isOpen && now < entry.expiresAt && !this.factory.isLost(entry.connection)
    ) {
      // Where each use asks, also on the way from one borrower straight to the next.
      return this.validate(entry, now)
    }
    if (!this.shutdown.isOpen || this.factory.isLost(entry.connection) || now >= entry.expiresAt) {
      this.closeEntry(entry, true)
      this.replace()
      return
    }
    entry.generation = this.generation
    entry.idleSince = idleSince
    // Shed first, so that a connection is not handed to a waiter that is refused.
    const waiter = this.waiters.next(now, this.entries.size > this.capacity)
    if (waiter !== undefined) {
      this.markInUse(entry, now)
      waiter.onEntry(entry)
      if (entry.pipeline !== undefined) {
        this.share(entry, now)
      }
      return
    }
    if (this.entries.size > this.capacity) {
      // Opened on the reserved place; no other waiter may use it.
      this.closeEntry(entry, true)
      return
    }
    entry.state = "idle"
    entry.pingedAt = now
    this.idle.push(entry)
    this.timer.at(now + this.eviction.rest(this.entries.size))
  }

  /** Validates the connection. It then goes to the first waiter, which need not be the one it was validated for. */
  private validate(entry: PoolEntry<C>, now: number, idleSince?: number): void {
    entry.state = "busy"
    entry.deadline = now + settleLimit
    this.timer.at(entry.deadline)
    let isAnswered = false
    this.factory.validate(entry.connection, (isAlive) => {
      // The entry may have been evicted at its deadline meanwhile.
      if (isAnswered || entry.state !== "busy") {
        return
      }
      isAnswered = true
      entry.deadline = Infinity
      if (isAlive) {
        this.reuse(entry, this.clock.unsafeCurrentTimeMillis(), idleSince)
      } else {
        this.invalid(entry)
      }
    })
  }

  private invalid(entry: PoolEntry<C>): void {
    this.generation++
    this.invalidated++
    this.closeEntry(entry, false)
    this.serveWaiters(this.clock.unsafeCurrentTimeMillis())
  }

  /** Looks for connections for the waiters: idle ones first (validated where they must be), then new ones. */
  private serveWaiters(now: number): void {
    // What is being opened is not counted: it may take long or never come, and an idle connection is here.
    while (this.idle.length > 0 && this.waiters.size > this.becoming()) {
      const entry = this.idle[this.idle.length - 1]!
      this.idle.pop()
      entry.state = "busy"
      if (now >= entry.expiresAt || this.factory.isLost(entry.connection)) {
        this.invalidated++
        this.closeEntry(entry, true)
      } else if (entry.generation !== this.generation || now - entry.idleSince >= this.settings.validateAfter) {
        this.validate(entry, now)
      } else {
        this.reuse(entry, now)
      }
    }
    this.replace()
  }

  /** Opens connections for the waiters that are not served by connections being opened or validated. */
  private replace(): void {
    const used = this.entries.size + this.connector.count
    // A full pool is the common case under load, and then the queue may be long: it is not walked in vain.
    if (used >= this.capacity && (this.waiters.reserved === 0 || used >= this.capacity + this.reserved)) {
      return
    }
    for (let waiter = this.waiters.head; waiter !== undefined; waiter = this.waiters.after(waiter)) {
      if (this.connector.count + this.becoming() >= this.waiters.size || !this.shutdown.isOpen) {
        return
      }
      if (this.canGrow(waiter)) {
        this.connector.open()
      }
    }
  }

  private canGrow(waiter: Waiter<C>): boolean {
    const limit = this.capacity + (waiter.reserved ? this.reserved : 0)
    return this.entries.size + this.connector.count < limit
  }

  /** Entries that are being validated, cleaned or handed on: each will serve a waiter, or `replace` is called. */
  private becoming(): number {
    let count = this.returnedMeanwhile.length
    if (this.entries.size !== this.idle.length + this.inUse) {
      for (const entry of this.entries) {
        if (entry.state === "busy" && entry.deadline !== Infinity) {
          count++
        }
      }
    }
    return count
  }

  private opened(connection: C, millis: number): void {
    const now = this.clock.unsafeCurrentTimeMillis()
    const entry = new PoolEntry(this.nextId++, connection, now, this.eviction.expiryFrom(now), this.generation)
    this.entries.add(entry)
    this.factory.onOpened(entry, millis)
    this.reuse(entry, now)
  }

  private closeEntry(entry: PoolEntry<C>, isGraceful: boolean): void {
    if (entry.state === "gone") {
      if (!isGraceful) {
        this.closingConnections.destroy(entry)
      }
      return
    }
    if (entry.state === "inUse") {
      this.inUse--
    }
    entry.state = "gone"
    entry.borrower = undefined
    const returned = this.returnedMeanwhile.findIndex(([one]) => one === entry)
    if (returned >= 0) {
      this.returnedMeanwhile.splice(returned, 1)
    }
    this.entries.delete(entry)
    this.closingConnections.close(entry, isGraceful)
  }

  // ---------------------------------------------------------------------------
  // time
  // ---------------------------------------------------------------------------

  /** Looks through every limit and returns the next moment at which one runs out. */
  expire(now: number): number {
    let next = Infinity
    const soon = (time: number) => {
      if (time < next) {
        next = time
      }
    }
    this.waiters.refuse((waiter) => {
      if (waiter.waitDeadline > now) {
        soon(waiter.waitDeadline)
        return false
      }
      return true
    }, (waiter) => {
      this.timeouts++
      this.timedOutAt = now
      // With no connection at all, the failure to open one is the better explanation.
      return this.entries.size === 0 && this.connector.lastError !== undefined
        ? this.connector.lastError
        : acquireTimeout(this, waiter, now, "no connection became free in time")
    })
    for (const entry of [...this.entries]) {
      this.expireEntry(entry, now, soon)
    }
    this.closingConnections.expire(now, soon)
    return next
  }

  private expireEntry(entry: PoolEntry<C>, now: number, soon: (time: number) => void): void {
    switch (entry.state) {
      case "inUse":
        entry.expire(now, soon)
        return this.leaks.look(entry, now, soon)
      case "busy": {
        if (entry.deadline > now) {
          return soon(entry.deadline)
        }
        // It never answered: what broke it may have broken the other idle ones too.
        for (const other of this.idle.splice(0)) {
          this.invalidated++
          this.closeEntry(other, false)
        }
        return this.invalid(entry)
      }
      case "idle": {
        const due = this.eviction.due(entry, now, this.entries.size)
        if (typeof due === "number") {
          return soon(due)
        }
        this.idle.splice(this.idle.indexOf(entry), 1)
        entry.state = "busy"
        // Pinged, it stays as idle as it was, so that `idleTimeout` still finds it. For a waiter that comes meanwhile,
        // the answer serves as validation.
        return due === "close" ? this.closeEntry(entry, true) : this.validate(entry, now, entry.idleSince)
      }
      case "gone":
        return
    }
  }

  /** Why this waiter may not even wait. */
  private refusal(waiter: Waiter<C>, now: number): DbError | undefined {
    if (this.waiters.size >= this.settings.maxWaiters && !waiter.reserved) {
      return overloaded(this.database, `${this.waiters.size} already wait for a connection (maxWaiters)`)
    }
    if (
      !this.canGrow(waiter) && this.connector.count === 0 && this.waiters.isDeadlock(this.entries, waiter)
    ) {
      this.timeouts++
      this.timedOutAt = now
      return deadlock(this, waiter, now)
    }
    return undefined
  }
}
