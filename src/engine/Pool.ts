/**
 * Lends connections. Knows no SQL.
 *
 * The state is plain data: a stack of idle slots (last in, first out: the warmest connection is used again and the
 * rest may go), a queue of waiters (first come, first served), and counts. Every change is synchronous, so there is
 * nothing to lock; what takes time (opening, validating, closing) is detached from whoever asked for it and comes
 * back as a call. Each slot is in exactly one place at any time: idle, lent, or busy with itself.
 */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type * as DbConfig from "../DbConfig.js"
import type { ConnectionError, DbError, Holder, TimeoutError } from "../DbError.js"
import type { PoolSnapshot } from "../DbMetrics.js"
import type { Alarm, Fork } from "./Alarm.js"
import { Closing } from "./Closing.js"
import { settleLimit } from "./Deadline.js"
import { Goodbyes } from "./Goodbyes.js"
import { Idleness } from "./Idleness.js"
import { Opener } from "./Opener.js"
import { acquireTimeout, closed, cut, overloaded } from "./Refusal.js"
import { Shedding } from "./Shedding.js"
import { type Handling, Slot, type Waiter } from "./Slot.js"
import { Waiters } from "./Waiters.js"

export class Pool<C> {
  readonly slots = new Set<Slot<C>>()
  private readonly idle: Array<Slot<C>> = []
  private readonly line: Waiters<C>
  private readonly opener: Opener<C>
  private nextId = 1
  /** Rises with each loss: slots of an older generation are validated before they are lent. */
  private generation = 0
  private readonly closing: Closing
  private readonly goodbyes: Goodbyes<C>
  private readonly idleness: Idleness
  inUse = 0
  /** How often a connection was lent. */
  lends = 0
  invalidated = 0
  timeouts = 0
  /** When a wait last reached its limit. */
  timedOutAt = -Infinity
  readonly capacity: number
  private readonly size: number
  private readonly reserved: number

  constructor(
    readonly database: string,
    private readonly settings: DbConfig.Pool,
    capacity: { readonly size: number; readonly total: number; readonly reserved: number },
    private readonly handling: Handling<C>,
    private readonly clock: Clock.Clock,
    private readonly alarm: Alarm,
    fork: Fork,
    /** Uniform in [0, 1): for the jitter of lifetimes. */
    private readonly random: () => number
  ) {
    this.size = capacity.size
    this.capacity = capacity.total
    this.reserved = capacity.reserved
    this.line = new Waiters(database, settings.shedding === undefined ? undefined : new Shedding(settings.shedding))
    this.idleness = new Idleness(settings, capacity.size)
    this.closing = new Closing({
      refuse: () => {
        this.line.drain((waiter) => waiter.onRefused(closed(database)))
        this.opener.stop()
        for (const slot of this.idle.splice(0)) {
          this.retire(slot, true)
        }
      },
      isDrained: () => this.slots.size === 0 && this.goodbyes.size === 0 && this.opener.count === 0,
      cut: (limit, how) => this.cutAll(limit, how)
    })
    this.goodbyes = new Goodbyes(handling, clock, alarm, () => this.closing.check())
    this.opener = new Opener(handling, clock, fork, {
      isWanted: () => this.line.size > 0 && this.closing.isOpen,
      opened: (connection, millis) => this.opened(connection, millis),
      failed: (error) => {
        handling.onOpenFailed(error)
        this.line.refuse((waiter) => waiter.failFast, () => error)
      },
      gaveUp: (error) => {
        if (error !== undefined) {
          // Everybody would meet the same refusal; a transient one has exhausted its schedule.
          this.line.drain((waiter) => waiter.onRefused(error))
        }
        this.replace()
      },
      ended: () => this.closing.check()
    })
  }

  // ---------------------------------------------------------------------------
  // taking and giving
  // ---------------------------------------------------------------------------

  /** An idle connection that may be lent as it is; `undefined` means: `take`. */
  tryTake(now: number): Slot<C> | undefined {
    const slot = this.idle[this.idle.length - 1]
    if (
      slot === undefined || this.line.head !== undefined || slot.generation !== this.generation ||
      now - slot.idleSince >= this.settings.validateAfter || now >= slot.expiresAt || !this.closing.isOpen
    ) {
      return undefined
    }
    this.idle.pop()
    this.lend(slot, now)
    return slot
  }

  /** Serves the waiter at once, or lets it wait. One of its two callbacks is called, exactly once, unless `leave`. */
  take(waiter: Waiter<C>): void {
    const now = this.clock.unsafeCurrentTimeMillis()
    waiter.waitingSince = now
    if (!this.closing.isOpen) {
      return waiter.onRefused(closed(this.database))
    }
    const slot = this.tryTake(now)
    if (slot !== undefined) {
      return waiter.onSlot(slot)
    }
    if (this.idle.length === 0) {
      const refusal = this.refusal(waiter, now)
      if (refusal !== undefined) {
        return waiter.onRefused(refusal)
      }
    }
    this.line.enter(waiter)
    this.alarm.at(waiter.waitDeadline)
    this.serveWaiters(now)
  }

  /** Takes a waiter out of the line (its fiber was interrupted). A connection being opened for it goes to the next. */
  leave(waiter: Waiter<C>): void {
    this.line.leave(waiter)
  }

  /** Gives a clean connection back. */
  give(slot: Slot<C>): void {
    if (slot.state === "gone") {
      return
    }
    const now = this.clock.unsafeCurrentTimeMillis()
    this.returned(slot, now)
    if (
      this.settings.validateAfter === 0 && this.line.head !== undefined && this.closing.isOpen &&
      now < slot.expiresAt && !this.handling.isLost(slot.connection)
    ) {
      // Always asked, also on the way from one borrower straight to the next.
      this.validate(slot, now)
    } else {
      this.place(slot, now)
    }
  }

  /** Keeps a returned slot back while it is being cleaned; `give` or `discard` follows. */
  setBusy(slot: Slot<C>, limit: number): void {
    if (slot.state !== "lent") {
      return
    }
    const now = this.clock.unsafeCurrentTimeMillis()
    this.returned(slot, now)
    slot.deadline = now + limit
    this.alarm.at(slot.deadline)
  }

  /** Closes a connection that must not be lent again. */
  discard(slot: Slot<C>, graceful: boolean): void {
    if (slot.state === "gone") {
      return
    }
    if (slot.state === "lent") {
      this.returned(slot, this.clock.unsafeCurrentTimeMillis())
    } else if (slot.state === "idle") {
      this.idle.splice(this.idle.indexOf(slot), 1)
    }
    this.invalidated++
    if (!graceful) {
      // It did not answer, or could not be cleaned, and was dropped: that may have befallen the others too.
      this.generation++
    }
    this.retire(slot, graceful)
    this.replace()
  }

  /** A connection broke: whatever broke it may have broken the others, so they are validated before they are lent. */
  lost(slot: Slot<C>): void {
    this.generation++
    // A lent or busy slot is discarded by whoever has it, when its request has failed.
    if (slot.state === "idle") {
      this.discard(slot, false)
    }
  }

  // ---------------------------------------------------------------------------
  // opening and closing
  // ---------------------------------------------------------------------------

  /** Opens one connection now, for the start of the layer; its failure is the caller's. */
  get openOne(): Effect.Effect<void, ConnectionError | TimeoutError> {
    return this.opener.openOne
  }

  /** Refuses new borrowers, waits for the present ones up to the limit, cuts the rest. True when none was cut. */
  close(limit: number): Effect.Effect<boolean> {
    return this.closing.run(limit)
  }

  private cutAll(limit: number, how: "stop" | "drop"): void {
    for (const slot of [...this.slots]) {
      slot.borrower?.onCut(cut(this.database, limit), how)
      if (slot.borrower === undefined || how === "drop") {
        this.retire(slot, false)
      }
    }
    if (how === "drop") {
      this.goodbyes.dropAll()
    }
  }

  // ---------------------------------------------------------------------------
  // looking
  // ---------------------------------------------------------------------------

  get figures(): PoolSnapshot {
    const now = this.clock.unsafeCurrentTimeMillis()
    return {
      size: this.size,
      capacity: this.capacity,
      open: this.slots.size,
      idle: this.idle.length,
      inUse: this.inUse,
      opening: this.opener.count,
      waiting: this.line.size,
      overflow: Math.max(this.slots.size - this.size, 0),
      invalidated: this.invalidated,
      timeouts: this.timeouts,
      longestWaitMillis: this.line.head === undefined ? 0 : now - this.line.head.waitingSince
    }
  }

  get holders(): ReadonlyArray<Holder> {
    const now = this.clock.unsafeCurrentTimeMillis()
    const holders: Array<Holder> = []
    for (const slot of this.slots) {
      if (slot.borrower !== undefined) {
        holders.push(slot.borrower.describe(now))
      }
    }
    return holders
  }

  // ---------------------------------------------------------------------------
  // transitions
  // ---------------------------------------------------------------------------

  private lend(slot: Slot<C>, now: number): void {
    slot.state = "lent"
    slot.lentAt = now
    slot.deadline = Infinity
    slot.leakReported = false
    this.inUse++
    this.lends++
    if (this.settings.leakThreshold > 0) {
      this.alarm.at(now + this.settings.leakThreshold)
    }
  }

  private returned(slot: Slot<C>, now: number): void {
    if (slot.state === "lent") {
      this.inUse--
      if (slot.leakReported) {
        this.handling.onLeakReturned(slot, now - slot.lentAt)
      }
    }
    slot.state = "busy"
    slot.borrower = undefined
    slot.deadline = Infinity
    slot.queueDeadline = Infinity
  }

  /** A clean slot finds its place: the first waiter, the idle stack, or the door. */
  private place(slot: Slot<C>, now: number, idleSince = now): void {
    if (!this.closing.isOpen || this.handling.isLost(slot.connection) || now >= slot.expiresAt) {
      this.retire(slot, true)
      this.replace()
      return
    }
    slot.generation = this.generation
    slot.idleSince = idleSince
    // Shed first, so that a connection is not handed to somebody who is told to go.
    const waiter = this.line.next(now, this.slots.size > this.capacity)
    if (waiter !== undefined) {
      this.lend(slot, now)
      waiter.onSlot(slot)
      return
    }
    if (this.slots.size > this.capacity) {
      // Opened on the reserved place; nobody else may use it.
      this.retire(slot, true)
      return
    }
    slot.state = "idle"
    slot.pingedAt = now
    this.idle.push(slot)
    this.alarm.at(now + this.idleness.rest(this.slots.size))
  }

  /** Asks the connection whether it lives. It then goes to the first waiter, who need not be the one it was asked for. */
  private validate(slot: Slot<C>, now: number, idleSince?: number): void {
    slot.state = "busy"
    slot.deadline = now + settleLimit
    this.alarm.at(slot.deadline)
    let answered = false
    this.handling.validate(slot.connection, (alive) => {
      // The deadline may have retired the slot meanwhile.
      if (answered || slot.state !== "busy") {
        return
      }
      answered = true
      slot.deadline = Infinity
      if (alive) {
        this.place(slot, this.clock.unsafeCurrentTimeMillis(), idleSince)
      } else {
        this.invalid(slot)
      }
    })
  }

  private invalid(slot: Slot<C>): void {
    this.generation++
    this.invalidated++
    this.retire(slot, false)
    this.serveWaiters(this.clock.unsafeCurrentTimeMillis())
  }

  /** Looks for connections for those who wait: idle ones first (validated where they must be), then new ones. */
  private serveWaiters(now: number): void {
    // What is being opened is not counted: it may take long or never come, and an idle connection is here.
    while (this.idle.length > 0 && this.line.size > this.becoming()) {
      const slot = this.idle[this.idle.length - 1]!
      this.idle.pop()
      slot.state = "busy"
      if (now >= slot.expiresAt || this.handling.isLost(slot.connection)) {
        this.invalidated++
        this.retire(slot, true)
      } else if (slot.generation !== this.generation || now - slot.idleSince >= this.settings.validateAfter) {
        this.validate(slot, now)
      } else {
        this.place(slot, now)
      }
    }
    this.replace()
  }

  /** Opens connections for those who wait and are not served by what is on its way. */
  private replace(): void {
    const used = this.slots.size + this.opener.count
    // A full pool is the common case under load, and then the line may be long: it is not walked in vain.
    if (used >= this.capacity && (this.line.reserved === 0 || used >= this.capacity + this.reserved)) {
      return
    }
    for (let waiter = this.line.head; waiter !== undefined; waiter = this.line.after(waiter)) {
      if (this.opener.count + this.becoming() >= this.line.size || !this.closing.isOpen) {
        return
      }
      if (this.canGrow(waiter)) {
        this.opener.open()
      }
    }
  }

  private canGrow(waiter: Waiter<C>): boolean {
    const limit = this.capacity + (waiter.reserved ? this.reserved : 0)
    return this.slots.size + this.opener.count < limit
  }

  /** Slots that are being validated or cleaned: each will serve a waiter, or `replace` is called. */
  private becoming(): number {
    let count = 0
    if (this.slots.size !== this.idle.length + this.inUse) {
      for (const slot of this.slots) {
        if (slot.state === "busy" && slot.deadline !== Infinity) {
          count++
        }
      }
    }
    return count
  }

  private opened(connection: C, millis: number): void {
    const now = this.clock.unsafeCurrentTimeMillis()
    const life = this.settings.maxLifetime
    const slot = new Slot(
      this.nextId++,
      connection,
      now,
      // Up to 10 % less, so that connections opened together are not replaced together.
      life === 0 ? Infinity : now + life * (1 - 0.1 * this.random()),
      this.generation
    )
    this.slots.add(slot)
    this.handling.onOpened(slot, millis)
    this.place(slot, now)
  }

  private retire(slot: Slot<C>, graceful: boolean): void {
    if (slot.state === "gone") {
      if (!graceful) {
        this.goodbyes.drop(slot)
      }
      return
    }
    if (slot.state === "lent") {
      this.inUse--
    }
    slot.state = "gone"
    slot.borrower = undefined
    this.slots.delete(slot)
    this.goodbyes.say(slot, graceful)
  }

  // ---------------------------------------------------------------------------
  // time
  // ---------------------------------------------------------------------------

  /** Looks through every limit and returns the next moment at which one runs out. */
  ring(now: number): number {
    let next = Infinity
    const soon = (time: number) => {
      if (time < next) {
        next = time
      }
    }
    this.line.refuse((waiter) => {
      if (waiter.waitDeadline > now) {
        soon(waiter.waitDeadline)
        return false
      }
      return true
    }, (waiter) => {
      this.timeouts++
      this.timedOutAt = now
      // With no connection at all, the failure to open one is the better explanation.
      return this.slots.size === 0 && this.opener.lastError !== undefined
        ? this.opener.lastError
        : acquireTimeout(this, waiter, now, `no connection became free within ${waiter.waitLimit} ms`)
    })
    for (const slot of [...this.slots]) {
      this.ringSlot(slot, now, soon)
    }
    this.goodbyes.ring(now, soon)
    return next
  }

  private ringSlot(slot: Slot<C>, now: number, soon: (time: number) => void): void {
    const { leakThreshold } = this.settings
    switch (slot.state) {
      case "lent": {
        slot.ring(now, soon)
        if (leakThreshold > 0 && !slot.leakReported) {
          if (now - slot.lentAt < leakThreshold || slot.borrower === undefined) {
            soon(slot.lentAt + leakThreshold)
          } else if (this.handling.isKept(slot)) {
            // It may stay behind when what it was held for is given back.
            soon(now + leakThreshold)
          } else {
            slot.leakReported = true
            this.handling.onLeak(slot, slot.borrower.describe(now))
          }
        }
        return
      }
      case "busy": {
        if (slot.deadline > now) {
          return soon(slot.deadline)
        }
        // It never answered: whatever swallowed it may have swallowed the other idle ones too.
        for (const other of this.idle.splice(0)) {
          this.invalidated++
          this.retire(other, false)
        }
        return this.invalid(slot)
      }
      case "idle": {
        const due = this.idleness.due(slot, now, this.slots.size)
        if (typeof due === "number") {
          return soon(due)
        }
        this.idle.splice(this.idle.indexOf(slot), 1)
        slot.state = "busy"
        // Pinged, it stays as idle as it was, so that `idleTimeout` still finds it; if somebody comes meanwhile, the answer
        // serves as validation.
        return due === "close" ? this.retire(slot, true) : this.validate(slot, now, slot.idleSince)
      }
      case "gone":
        return
    }
  }

  /** Why this waiter may not even wait. */
  private refusal(waiter: Waiter<C>, now: number): DbError | undefined {
    if (this.line.size >= this.settings.maxWaiters && !waiter.reserved) {
      return overloaded(this.database, `${this.line.size} already wait for a connection (maxWaiters)`)
    }
    if (
      !this.canGrow(waiter) && this.opener.count === 0 && this.line.isDeadlock(this.slots, waiter)
    ) {
      this.timeouts++
      this.timedOutAt = now
      return acquireTimeout(
        this,
        waiter,
        now,
        "every connection is held by a fiber that itself waits for one, so none can ever become free: " +
          "use the session that is open already, or make the pool larger"
      )
    }
    return undefined
  }
}
