/** The wait for a connection, and for the write lock before it where it is to write. On a pool that is driven by hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { DbError } from "../../src/DbError.js"
import type { Connection } from "../../src/driver/Driver.js"
import type { AnyFiber } from "../../src/internal/fiber/Caller.js"
import { currentDeadline } from "../../src/internal/fiber/fiberContext.js"
import { AcquireRequest, type AcquireRequestOptions } from "../../src/internal/pool/AcquireRequest.js"
import type { PoolEntry } from "../../src/internal/pool/PoolEntry.js"
import type { Deadline } from "../../src/internal/request/Deadline.js"
import { type AcquireOptions, SessionWait } from "../../src/internal/session/SessionWait.js"
import { fakeErrors } from "../kit/fakeErrors.js"
import { HandConnection, HandEngine, type HandOptions, handSession } from "../kit/handSession.js"

const fiber: AnyFiber = Effect.runFork(Effect.never)

const writing = { capabilities: { singleWriter: true } }

/** A wait that has begun. */
const waiting = (
  options: Partial<AcquireRequestOptions> = {},
  { deadline, engine, of = fiber, start = true, ...hand }: HandOptions & {
    readonly engine?: HandEngine
    readonly deadline?: Deadline
    readonly of?: AnyFiber
    readonly start?: boolean
  } = {}
) => {
  const on = engine ?? new HandEngine(hand)
  const got: { entry: PoolEntry<Connection> | undefined; error: DbError | undefined } = {
    entry: undefined,
    error: undefined
  }
  const request = new AcquireRequest(on.context, { writes: false, ...options }, of, deadline, {
    onAcquired: (entry) => got.entry = entry,
    onAcquireFailed: (error) => got.error = error
  })
  if (start) {
    request.start()
  }
  const give = () => {
    const entry = on.entry(new HandConnection())
    on.waiters.shift()!.onEntry(entry)
    return entry
  }
  return { engine: on, request, got, give, told: on.told }
}

describe("a wait for a connection", () => {
  it("asks the pool at once where nothing is written, and tells how long it was", () => {
    const { engine, give, got, request, told } = waiting()
    assert.deepStrictEqual(engine.waiters, [request])
    assert.isUndefined(got.entry)
    engine.timer.now += 30
    const entry = give()
    assert.strictEqual(got.entry, entry)
    assert.deepStrictEqual(told, ["waited 30"])
  })

  it("needs no lock where the database has none", () => {
    const { engine, request } = waiting({ writes: true })
    assert.deepStrictEqual(engine.waiters, [request])
    assert.isFalse(request.reserved)
  })

  it("ends at the configured limit, or at the deadline around it", () => {
    assert.deepInclude(waiting().request, { waitDeadline: Infinity, waitLimit: 0 })
    assert.deepInclude(waiting({}, { acquireTimeout: 300 }).request, { waitDeadline: 1300, waitLimit: 300 })
    assert.deepInclude(waiting({}, { acquireTimeout: 300, deadline: { at: 1200, limit: 900 } }).request, {
      waitDeadline: 1200,
      waitLimit: 900
    })
  })

  it("fails with why it was refused", () => {
    const { engine, got, request, told } = waiting()
    engine.waiters.shift()!.onRefused(fakeErrors.refused)
    assert.strictEqual(got.error, fakeErrors.refused)
    request.abandon()
    assert.deepStrictEqual(told, [])
  })

  it("may have the reserved place, and may fail fast, where that is asked for", () => {
    assert.deepInclude(flags(waiting().request), { reserved: false, failFast: false })
    assert.deepInclude(flags(waiting({ reserved: true }).request), { reserved: true, failFast: false })
    assert.deepInclude(flags(waiting({ failFast: true }).request), { reserved: false, failFast: true })
  })

  it("is named by the span of its fiber, or by the fiber", () => {
    assert.match(waiting().request.name, /^#\d+$/)
    const spanned: AnyFiber = Effect.runFork(Effect.never.pipe(Effect.withSpan("orders.list")))
    assert.strictEqual(waiting({}, { of: spanned }).request.name, "orders.list")
  })

  it("is in vain where the fiber holds the entry, by the session around it or in its hands", () => {
    const { entry, queue, session } = handSession()
    const { request } = waiting()
    assert.isFalse(request.holds(entry))
    assert.isTrue(waiting({ inside: session }).request.holds(entry))
    assert.isFalse(waiting({ inside: handSession().session }).request.holds(entry))
    queue.reservedBy = fiber
    assert.isTrue(request.holds(entry))
    entry.borrower = undefined
    assert.isFalse(request.holds(entry))
    entry.borrower = { describe: session.describe.bind(session), onDeadline: () => {}, onCut: () => {} }
    assert.isFalse(request.holds(entry))
  })

  it("is inside of no transaction: a statement that is runs in that", () => {
    assert.isFalse(waiting().request.isInside())
  })
})

const flags = ({ failFast, reserved }: AcquireRequest) => ({ failFast, reserved })

describe("a wait that is to write", () => {
  it("has the lock first, and may then have the reserved place", () => {
    const first = waiting({ writes: true }, writing)
    assert.isTrue(first.request.reserved)
    assert.lengthOf(first.engine.waiters, 1)
    const second = waiting({ writes: true }, { engine: first.engine })
    assert.lengthOf(first.engine.waiters, 1)
    assert.isFalse(second.request.reserved)
    // What reads waits for no lock.
    assert.lengthOf(waiting({}, { engine: first.engine }).engine.waiters, 2)
    first.request.releaseLock()
    assert.isFalse(first.request.reserved)
    assert.lengthOf(first.engine.waiters, 3)
    // It is released once.
    first.request.releaseLock()
    assert.isTrue(second.request.reserved)
  })

  it("waits for the lock as long as is configured, or until its deadline", () => {
    for (
      const [deadline, millis] of [[undefined, 300], [{ at: 1200, limit: 900 }, 200]] as const
    ) {
      const owner = waiting({ writes: true }, { ...writing, limits: { lockTimeout: 300 } })
      const { engine, got, request } = waiting({ writes: true }, {
        engine: owner.engine,
        ...(deadline === undefined ? {} : { deadline })
      })
      engine.timer.advance(millis - 1)
      assert.isTrue(got.error === undefined)
      engine.timer.advance(1)
      assert.deepInclude(got.error as DbError | undefined, {
        _tag: "TimeoutError",
        phase: "Lock",
        limitMillis: deadline?.limit ?? millis
      })
      owner.request.releaseLock()
      assert.isFalse(request.reserved)
      // It has ended: nothing is taken back.
      request.abandon()
      assert.deepStrictEqual(engine.told, [])
    }
  })

  it("gives the lock back where no connection came", () => {
    const first = waiting({ writes: true }, writing)
    const second = waiting({ writes: true }, { engine: first.engine })
    first.engine.waiters[0]!.onRefused(fakeErrors.refused)
    assert.strictEqual(first.got.error, fakeErrors.refused)
    assert.isFalse(first.request.reserved)
    assert.isTrue(second.request.reserved)
  })

  it("gives the lock away with the connection, once, and answers for it no more", () => {
    const { engine, give, request } = waiting({ writes: true }, writing)
    give()
    const { queue } = handSession({ inside: { engine, level: undefined } })
    request.giveLock(queue)
    assert.isTrue(queue.lock!.isHeld)
    assert.isFalse(request.reserved)
    queue.lock!.isHeld = false
    request.giveLock(queue)
    assert.isFalse(queue.lock!.isHeld)
    const without = waiting()
    without.request.giveLock(handSession().queue)
  })
})

describe("a wait that is abandoned", () => {
  it("does nothing where it has not begun", () => {
    const { request, told } = waiting({ writes: true }, { ...writing, start: false })
    request.abandon()
    assert.deepStrictEqual(told, [])
  })

  it("leaves the queue of writers", () => {
    const owner = waiting({ writes: true }, writing)
    const { request, told } = waiting({ writes: true }, { engine: owner.engine })
    request.abandon()
    owner.request.releaseLock()
    assert.isFalse(request.reserved)
    assert.deepStrictEqual(told, [])
  })

  it("leaves the pool's queue, and gives its lock back", () => {
    const first = waiting({ writes: true }, writing)
    const second = waiting({ writes: true }, { engine: first.engine })
    first.request.abandon()
    assert.deepStrictEqual(first.told, ["withdraw"])
    assert.deepStrictEqual(first.engine.waiters, [second.request])
    assert.isTrue(second.request.reserved)
    // Once.
    first.request.abandon()
    assert.deepStrictEqual(first.told, ["withdraw"])
  })

  it("gives a connection back that has come at the same moment", () => {
    const { give, request, told } = waiting()
    give()
    request.abandon()
    assert.deepStrictEqual(told, ["waited 0", "release 1"])
    request.abandon()
    assert.deepStrictEqual(told, ["waited 0", "release 1"])
  })
})

describe("the wait of a fiber for a session", () => {
  const wait = (options: Partial<AcquireOptions> = {}, deadline?: Deadline) => {
    const engine = new HandEngine({ ...writing, acquireTimeout: 300 })
    const asking: AnyFiber = Effect.runFork(Effect.locally(Effect.never, currentDeadline, deadline))
    const session = new SessionWait(engine.context, { writes: false, inside: undefined, ...options }, asking)
    const ended: Array<Exit.Exit<void, DbError>> = []
    session.start((exit) => ended.push(exit))
    return { engine, session, ended }
  }

  it("is resumed with its connection", () => {
    const { ended, engine, session } = wait()
    assert.isUndefined(session.entry)
    const entry = engine.entry(new HandConnection())
    engine.waiters[0]!.onEntry(entry)
    assert.strictEqual(session.entry, entry)
    assert.deepStrictEqual(ended, [Exit.void])
  })

  it("is resumed with why there is none", () => {
    const { ended, engine } = wait()
    engine.waiters[0]!.onRefused(fakeErrors.refused)
    assert.deepStrictEqual(ended, [Exit.fail(fakeErrors.refused)])
  })

  it("asks for what it is asked for", () => {
    const { entry, session } = handSession()
    const plain = wait()
    assert.deepInclude(flags(plain.session.request), { reserved: false, failFast: false })
    assert.isFalse(plain.session.request.holds(entry))
    const asked = wait({ inside: session.root, failFast: true }, { at: 1100, limit: 800 })
    assert.deepInclude(flags(asked.session.request), { reserved: false, failFast: true })
    assert.isTrue(asked.session.request.holds(entry))
    assert.deepInclude(asked.session.request, { waitDeadline: 1100, waitLimit: 800 })
    assert.isTrue(wait({ reserved: true }).session.request.reserved)
    assert.strictEqual(wait({ writes: true }).session.request.reserved, true)
  })
})
