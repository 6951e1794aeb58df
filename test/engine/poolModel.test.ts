/**
 * The pool against a model: which waiters wait, which are served, and with what, after any events in any order. The
 * pool is driven by hand: openings end when the test says so, and time passes when the test says so.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as fc from "fast-check"
import { isDeepStrictEqual } from "node:util"
import type { ConnectionError, DbError, Holder } from "../../src/DbError.js"
import { CoDel } from "../../src/internal/pool/CoDel.js"
import { DeadlineTimer } from "../../src/internal/pool/DeadlineTimer.js"
import { Pool } from "../../src/internal/pool/Pool.js"
import type { PoolEntry, Waiter } from "../../src/internal/pool/PoolEntry.js"
import { clockAt } from "../kit/clock.js"
import { fakeErrors } from "../kit/fakeErrors.js"
import { ever, unlimited } from "../kit/handPool.js"
import { Steps } from "../kit/steps.js"

/** What happens. An index chooses among what it can happen to, the oldest first; where there is none, nothing happens. */
type Step =
  | {
    readonly do: "enter"
    readonly limit: number
    readonly reserved: boolean
    readonly failFast: boolean
    /** It can use a connection beside others that do so. */
    readonly joins: boolean
    /** The waiter that comes so much later leaves, too, when this one is refused. */
    readonly takesAlong: number | undefined
  }
  /** An interrupt, of a fiber that waits or of one that does so no more. */
  | { readonly do: "leave" | "leave late"; readonly index: number }
  /**
   * A connection in use is released, is kept back to be cleaned, or is dropped; a cleaned one is released or dropped. Where several use
   * it, the first of them leaves it to the others.
   */
  | { readonly do: "give" | "clean" | "drop" | "cleaned" | "spoilt"; readonly index: number }
  /** What uses a connection lets others use it as well, from now on. */
  | { readonly do: "share"; readonly index: number }
  /** What becomes of an opening. */
  | { readonly do: "opened" | "refused" | "denied"; readonly index: number }
  | { readonly do: "pass"; readonly millis: number }

interface Settings {
  readonly size: number
  readonly overflow: number
  readonly maxWaiters: number
  readonly shedding: { readonly target: number; readonly interval: number } | undefined
}

const index = fc.nat({ max: 1000 })
const steps: fc.Arbitrary<ReadonlyArray<Step>> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant("enter" as const),
        limit: fc.constantFrom(50, 200, 1000, 1_000_000),
        reserved: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
        failFast: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, fc.constant(true)),
        joins: fc.boolean(),
        takesAlong: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined, freq: 4 })
      })
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("leave", "leave", "leave", "leave late"), index }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("give", "give", "give", "clean", "drop"), index }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("cleaned", "cleaned", "spoilt"), index }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("share" as const), index }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom("opened", "opened", "opened", "refused", "refused", "denied"), index })
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("pass" as const), millis: fc.constantFrom(1, 30, 60, 300) }) }
  ),
  { maxLength: 120, size: "max" }
)

const settings: fc.Arbitrary<Settings> = fc.record({
  size: fc.integer({ min: 1, max: 3 }),
  overflow: fc.integer({ min: 0, max: 1 }),
  maxWaiters: fc.constantFrom(3, 12, 1000),
  shedding: fc.option(fc.constant({ target: 40, interval: 100 }), { nil: undefined })
})

/** A place for health checks beyond the capacity. */
const reservedPlaces = 1

/** So many may use one connection. */
const mostUsers = 3

/** How often an opening is tried again as long as a fiber waits. */
const retries = 2

/** Something that befell somebody who asked for a connection. */
type Event =
  | { readonly who: number; readonly got: number }
  | { readonly who: number; readonly refused: string }

interface Asking {
  readonly who: number
  readonly since: number
  readonly until: number
  readonly reserved: boolean
  readonly failFast: boolean
  readonly joins: boolean
  readonly takesAlong: number | undefined
}

interface Lent {
  readonly connection: number
  /** In the order in which they came. */
  readonly users: Array<number>
  isShared: boolean
}

/** What the pool must do, in the simplest words: lists. */
class Model {
  now = 0
  events: Array<Event> = []
  waiting: Array<Asking> = []
  readonly lent: Array<Lent> = []
  /** Connections that were shared once: what can share one does so from the beginning. */
  private readonly everShared = new Set<number>()
  lends = 0
  /** How many have joined others. */
  joined = 0
  readonly cleaning: Array<number> = []
  readonly idle: Array<number> = []
  /** How often each has failed. */
  readonly opening: Array<number> = []
  private asked = 0
  private connections = 0
  private readonly capacity: number
  private readonly shedding: CoDel | undefined

  constructor(private readonly settings: Settings) {
    this.capacity = settings.size + settings.overflow
    this.shedding = settings.shedding === undefined ? undefined : new CoDel(settings.shedding)
  }

  get open(): number {
    return this.lent.length + this.cleaning.length + this.idle.length
  }

  enter({ failFast, joins, limit, reserved, takesAlong }: Extract<Step, { do: "enter" }>): void {
    const one = { who: this.asked++, since: this.now, until: this.now + limit, reserved, failFast, joins, takesAlong }
    if (this.idle.length > 0 && this.waiting.length === 0) return this.serve(one, this.idle.pop()!)
    if (this.idle.length === 0 && this.waiting.length >= this.settings.maxWaiters && !reserved) {
      return this.refuse(one, "Overloaded")
    }
    this.waiting.push(one)
    while (this.idle.length > 0 && this.waiting.length > this.cleaning.length) this.place(this.idle.pop()!)
    this.replace()
  }

  leave(who: number): void {
    this.waiting = this.waiting.filter((one) => one.who !== who)
  }

  /** The first of the waiters that are left. */
  private place(connection: number): void {
    // The connection itself is in no list at this moment.
    const isBeyond = this.open + 1 > this.capacity
    for (const one of this.waiting.slice()) {
      if (!this.waiting.includes(one) || (isBeyond && !one.reserved)) continue
      this.leave(one.who)
      if (this.shedding?.judge(this.now - one.since, this.now) === undefined) return this.serve(one, connection)
      this.refuse(one, "Overloaded")
    }
    if (!isBeyond) this.idle.push(connection)
  }

  private serve({ joins, who }: Asking, connection: number): void {
    const lent = { connection, users: [who], isShared: joins && this.everShared.has(connection) }
    this.lent.push(lent)
    this.lends++
    this.events.push({ who, got: connection })
    this.joinAll(lent)
  }

  /** Those whose turn it is, as far as they can. */
  private joinAll({ connection, isShared, users }: Lent): void {
    for (
      let one = this.waiting[0];
      isShared && one?.joins === true && users.length < mostUsers;
      one = this.waiting[0]
    ) {
      this.leave(one.who)
      if (this.shedding?.judge(this.now - one.since, this.now) === undefined) {
        users.push(one.who)
        this.lends++
        this.joined++
        this.events.push({ who: one.who, got: connection })
      } else {
        this.refuse(one, "Overloaded")
      }
    }
  }

  share(at: number): void {
    const lent = this.lent[at]!
    lent.isShared = true
    this.everShared.add(lent.connection)
    this.joinAll(lent)
  }

  /** One of several leaves the connection to the others. */
  leaveTo(at: number): void {
    const lent = this.lent[at]!
    lent.users.shift()
    this.joinAll(lent)
  }

  private refuse({ takesAlong, who }: Asking, why: string): void {
    this.leave(who)
    this.events.push({ who, refused: why })
    if (takesAlong !== undefined) this.leave(who + takesAlong)
  }

  private refuseAll(why: string, whom: (one: Asking) => boolean = () => true): void {
    for (const one of this.waiting.slice()) {
      if (this.waiting.includes(one) && whom(one)) this.refuse(one, why)
    }
  }

  /** As many openings as there are waiters without a connection on its way, and places for them. */
  private replace(): void {
    for (const { reserved } of this.waiting) {
      if (this.opening.length + this.cleaning.length >= this.waiting.length) return
      const places = this.capacity + (reserved ? reservedPlaces : 0)
      if (this.open + this.opening.length < places) this.opening.push(0)
    }
  }

  give(at: number): void {
    const { connection } = this.lent.splice(at, 1)[0]!
    this.place(connection)
  }

  clean(at: number): void {
    const { connection } = this.lent.splice(at, 1)[0]!
    this.cleaning.push(connection)
  }

  drop(at: number): void {
    this.lent.splice(at, 1)
    this.replace()
  }

  cleaned(at: number): void {
    this.place(this.cleaning.splice(at, 1)[0]!)
  }

  spoilt(at: number): void {
    this.cleaning.splice(at, 1)
    this.replace()
  }

  opened(at: number): void {
    this.opening.splice(at, 1)
    this.place(this.connections++)
  }

  failed(at: number, error: ConnectionError): void {
    this.refuseAll(error.reason, ({ failFast }) => failFast)
    if (error.isTransient && this.waiting.length > 0 && this.opening[at]! < retries) {
      this.opening[at]!++
    } else {
      this.opening.splice(at, 1)
      this.refuseAll(error.reason)
    }
  }

  pass(millis: number, lastError: ConnectionError | undefined): void {
    this.now += millis
    const why = this.open === 0 && lastError !== undefined ? lastError.reason : "Acquire"
    this.refuseAll(why, ({ until }) => until <= this.now)
  }
}

/** The pool itself, and all that it tells. */
class Real {
  now = 0
  events: Array<Event> = []
  readonly waiters: Array<Waiter<number>> = []
  /** Waiters that were answered or have left: they must not be answered again. */
  private readonly over = new Set<number>()
  /** How often a waiter was looked at since the last step. */
  looks = 0
  /** What no order of events allows. */
  readonly violations: Array<string> = []
  readonly slots = new Map<number, PoolEntry<number>>()
  /** What uses each, and those that let others use them too. */
  readonly users = new Map<number, Array<number>>()
  private readonly shared = new Set<number>()
  readonly alive = new Set<number>()
  /** In the order in which they were begun; one that is tried again keeps its place. */
  readonly opening: Array<{ end: (result: Effect.Effect<number, ConnectionError>) => void }> = []
  readonly pool: Pool<number>
  private readonly steps = new Steps()
  private connections = 0
  private retried: (typeof this.opening)[number] | undefined

  constructor({ maxWaiters, overflow, shedding, size }: Settings) {
    // The test rings.
    const clock = clockAt(() => this.now, () => Effect.never)
    const { fork } = this.steps
    this.pool = new Pool<number>(
      "model",
      { ...unlimited, size, overflow, maxWaiters, shedding },
      { size, total: size + overflow, reserved: reservedPlaces },
      {
        open: Effect.async<number, ConnectionError>((resume) => {
          if (this.retried === undefined) {
            this.opening.push({ end: resume })
          } else {
            this.retried.end = resume
            this.retried = undefined
          }
        }),
        openSchedule: Schedule.recurs(retries),
        isLost: () => false,
        validate: () => this.violations.push("nothing here is idle for long, and nothing is lost"),
        close: (connection, _, done) => {
          if (!this.alive.delete(connection)) this.violations.push(`closed twice: connection ${connection}`)
          done()
        },
        onOpened: () => {},
        onOpenFailed: () => {},
        isKept: () => false,
        onLeak: () => {},
        onLeakReturned: () => {}
      },
      { clock, timer: new DeadlineTimer(clock, fork, () => Infinity), fork, random: () => 0 }
    )
  }

  enter({ failFast, joins, limit, reserved, takesAlong }: Extract<Step, { do: "enter" }>): void {
    const who = this.waiters.length
    const waitDeadline = this.now + limit
    // A queue whose links lead in a circle is walked for ever.
    const look = <A>(value: A): A => {
      if (++this.looks > 10_000) throw new Error("the queue has no end")
      return value
    }
    const waiter: Waiter<number> = {
      links: undefined,
      waitingSince: 0,
      get waitDeadline() {
        return look(waitDeadline)
      },
      waitLimit: limit,
      reserved,
      get failFast() {
        return look(failFast)
      },
      holds: () => false,
      joins: ({ borrower, connection }) =>
        joins && borrower !== undefined && this.shared.has(connection) &&
        this.users.get(connection)!.length < mostUsers,
      onEntry: (entry) => {
        const { connection } = entry
        this.slots.set(connection, entry)
        if (entry.borrower === undefined) {
          this.borrow(entry, who, joins)
        } else {
          this.users.get(connection)!.push(who)
        }
        this.tell({ who, got: connection })
      },
      onRefused: (error: DbError) => {
        this.tell({ who, refused: error.reason })
        if (takesAlong !== undefined && who + takesAlong < this.waiters.length) this.leave(who + takesAlong)
      }
    }
    this.waiters.push(waiter)
    this.pool.acquire(waiter)
  }

  /** The first one to use it. */
  private borrow(entry: PoolEntry<number>, who: number, joins: boolean): void {
    const { connection } = entry
    const users = [who]
    const describe = (user: number): Holder => ({ fiber: `#${user}`, heldForMillis: 0, state: "running" })
    this.users.set(connection, users)
    if (joins && entry.pipeline !== undefined) {
      this.shared.add(connection)
    } else {
      this.shared.delete(connection)
    }
    entry.borrower = {
      describe: () => describe(users[0]!),
      describeAll: () => users.map(describe),
      onDeadline: () => this.violations.push("no limit of a borrower is set"),
      onCut: () => {}
    }
  }

  share(entry: PoolEntry<number>): void {
    // What is there already shows only that there is one.
    entry.pipeline ??= entry.borrower
    this.shared.add(entry.connection)
    this.pool.share(entry, this.now)
  }

  leaveTo(entry: PoolEntry<number>): void {
    this.users.get(entry.connection)!.shift()
    this.pool.share(entry, this.now)
  }

  private tell(event: Event): void {
    if (this.over.has(event.who)) this.violations.push(`told to one who does not wait: ${JSON.stringify(event)}`)
    this.over.add(event.who)
    this.events.push(event)
  }

  leave(who: number): void {
    this.over.add(who)
    this.pool.withdraw(this.waiters[who]!)
  }

  opened(at: number): void {
    const { end } = this.opening.splice(at, 1)[0]!
    const connection = this.connections++
    this.alive.add(connection)
    end(Effect.succeed(connection))
    this.settle()
  }

  failed(at: number, error: ConnectionError): void {
    const opening = this.opening[at]!
    this.retried = opening
    opening.end(Effect.fail(error))
    this.settle()
    // It was not tried again.
    if (this.retried !== undefined) this.opening.splice(at, 1)
    this.retried = undefined
  }

  /** Lets the fibers that can go on go on. */
  private settle(): void {
    this.steps.run()
  }

  close(): void {
    this.steps.fork(this.pool.close(0))
    this.settle()
  }
}

/** Has it happen to both. */
const run = (step: Step, model: Model, real: Real, lastError: { current: ConnectionError | undefined }): void => {
  const among = <A>(list: ReadonlyArray<A>): number | undefined =>
    "index" in step && list.length > 0 ? step.index % list.length : undefined
  switch (step.do) {
    case "enter":
      model.enter(step)
      return real.enter(step)
    case "pass":
      model.pass(step.millis, lastError.current)
      real.now = model.now
      return void real.pool.expire(real.now)
    case "leave": {
      const at = among(model.waiting)
      if (at === undefined) return
      const { who } = model.waiting[at]!
      model.leave(who)
      return real.leave(who)
    }
    case "leave late": {
      const late = real.waiters.map((_, who) => who).filter((who) => !model.waiting.some((one) => one.who === who))
      const at = among(late)
      return at === undefined ? undefined : real.leave(late[at]!)
    }
    case "give":
    case "clean":
    case "drop": {
      const at = among(model.lent)
      if (at === undefined) return
      const { connection, users } = model.lent[at]!
      const entry = real.slots.get(connection)!
      if (users.length > 1 && step.do !== "drop") {
        model.leaveTo(at)
        return real.leaveTo(entry)
      }
      model[step.do](at)
      if (step.do === "give") return real.pool.release(entry)
      return step.do === "clean" ? real.pool.setBusy(entry, ever) : real.pool.evict(entry, true)
    }
    case "share": {
      const at = among(model.lent)
      if (at === undefined) return
      const entry = real.slots.get(model.lent[at]!.connection)!
      model.share(at)
      return real.share(entry)
    }
    case "cleaned":
    case "spoilt": {
      const at = among(model.cleaning)
      if (at === undefined) return
      const entry = real.slots.get(model.cleaning[at]!)!
      model[step.do](at)
      return step.do === "cleaned" ? real.pool.release(entry) : real.pool.evict(entry, true)
    }
    case "opened": {
      const at = among(model.opening)
      if (at === undefined) return
      lastError.current = undefined
      model.opened(at)
      return real.opened(at)
    }
    case "refused":
    case "denied": {
      const at = among(model.opening)
      if (at === undefined) return
      const error = step.do === "refused" ? fakeErrors.refused : fakeErrors.authentication
      lastError.current = error
      model.failed(at, error)
      return real.failed(at, error)
    }
  }
}

const ascending = (list: Iterable<number>): ReadonlyArray<number> => [...list].sort((a, b) => a - b)

const isSame = (model: Model, real: Real, step: Step): void => {
  const { idle, inUse, longestWaitMillis, open, opening, waiting } = real.pool.figures
  const actual = {
    violations: real.violations,
    events: real.events,
    figures: { waiting, inUse, idle, open, opening, longestWaitMillis },
    lends: real.pool.lends,
    holders: real.pool.holders.map(({ fiber }) => fiber).sort(),
    begun: real.opening.length,
    alive: ascending(real.alive)
  }
  const lent = model.lent.map(({ connection }) => connection)
  const expected: typeof actual = {
    violations: [],
    events: model.events,
    figures: {
      waiting: model.waiting.length,
      inUse: model.lent.length,
      idle: model.idle.length,
      open: model.open,
      opening: model.opening.length,
      longestWaitMillis: model.waiting.length === 0 ? 0 : model.now - model.waiting[0]!.since
    },
    lends: model.lends,
    holders: model.lent.flatMap(({ users }) => users.map((who) => `#${who}`)).sort(),
    begun: model.opening.length,
    alive: ascending([...lent, ...model.cleaning, ...model.idle])
  }
  // A hundred thousand times; an assertion takes ten times as long as a look.
  if (!isDeepStrictEqual(actual, expected)) assert.deepStrictEqual(actual, expected, JSON.stringify(step))
  real.events = []
  model.events = []
  real.looks = 0
}

it("waiters are served in the order of arrival, whichever others leave, arrive or are refused meanwhile", () => {
  const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
  console.log(`the pool against a model: DBLIVE_SEED=${seed}`)
  const seen = new Map<string, number>()
  let joined = 0
  fc.assert(
    fc.property(settings, steps, (settings, steps) => {
      const model = new Model(settings)
      const real = new Real(settings)
      const lastError = { current: undefined }
      const take = (step: Step) => {
        const before = model.waiting
        run(step, model, real, lastError)
        isSame(model, real, step)
        const inTheMiddle = before.some((one, i) =>
          i > 0 && i < before.length - 1 && !model.waiting.includes(one) && model.waiting.includes(before[0]!)
        )
        if (inTheMiddle) seen.set(step.do, (seen.get(step.do) ?? 0) + 1)
      }
      for (const step of steps) take(step)
      // No waiter is forgotten: when all connections are released, none waits.
      while (model.opening.length > 0 || model.cleaning.length > 0 || model.lent.length > 0) {
        take({ do: model.opening.length > 0 ? "opened" : model.cleaning.length > 0 ? "cleaned" : "give", index: 0 })
      }
      assert.deepInclude(real.pool.figures, { waiting: 0, inUse: 0, opening: 0 })
      joined += model.joined
      real.close()
      assert.strictEqual(real.alive.size, 0)
    }),
    // Fewer where each of many mutants has its turn: mutation/setup.ts.
    { seed, numRuns: Number(process.env["DBLIVE_HISTORIES"] ?? 1000) }
  )
  // Not only at its ends, and for every reason.
  assert.includeMembers([...seen.keys()], ["leave", "pass", "refused"])
  assert.isAbove(joined, 0)
  console.log([...seen, ["joined", joined]].map(([what, count]) => `${what}: ${count}`).join(", "))
})
