/** The rows that a session reads piece by piece, and what runs between. On a connection that is driven by hand. */
import { assert, describe, it } from "@effect/vitest"
import { SessionCursor } from "../../src/internal/session/SessionCursor.js"
import { fakeErrors } from "../kit/fakeErrors.js"
import { type Asked, canceled, handSession } from "../kit/handSession.js"

/** A session with a cursor that is open. */
const reading = (
  { alone, hand = handSession(), interleaves = false, isBegun = false, limit = 0 }: {
    readonly hand?: ReturnType<typeof handSession>
    readonly alone?: () => void
    readonly isBegun?: boolean
    readonly interleaves?: boolean
    readonly limit?: number
  } = {}
) => {
  if (isBegun) {
    hand.begun()
  }
  const cursor = new SessionCursor(hand.queue, hand.connection.cursor(interleaves, alone), limit)
  hand.queue.attach(cursor)
  const fetch = (count: number, deadline?: { readonly at: number; readonly limit: number }) => {
    const one: Asked = { count: 0, error: undefined, value: undefined }
    const request = cursor.fetch(count, (error) => {
      one.count++
      one.error = error
    }, deadline)
    request.start()
    return Object.assign(one, { request })
  }
  const close = () => {
    const one = { count: 0 }
    cursor.close(() => one.count++)
    return one
  }
  return { ...hand, cursor, fetch, close }
}

describe("a cursor", () => {
  it("keeps what is fetched until it is taken, and is closed with the last", () => {
    const { answer, close, cursor, fetch, sent } = reading()
    const first = fetch(2)
    assert.deepStrictEqual(sent, ["fetch 2"])
    answer({ rows: [1, 2], done: false })
    assert.deepInclude(first, { count: 1, error: undefined })
    assert.deepStrictEqual(cursor.unread, [[1, 2]])
    assert.isFalse(cursor.isDone)
    fetch(3)
    answer({ rows: [], done: true })
    // No rows are no part.
    assert.deepStrictEqual(cursor.unread, [[1, 2]])
    assert.isTrue(cursor.isDone)
    assert.deepInclude(close(), { count: 1 })
    assert.deepStrictEqual(sent, ["fetch 2", "fetch 3"])
  })

  it("is closed by a fetch that fails", () => {
    const { ask, close, cursor, fail, fetch, sent } = reading()
    const asked = fetch(2)
    fail(fakeErrors.unique)
    assert.deepInclude(asked, { count: 1, error: fakeErrors.unique })
    assert.strictEqual(cursor.failed, fakeErrors.unique)
    assert.isTrue(cursor.isDone)
    assert.strictEqual(close().count, 1)
    ask("SELECT 1")
    assert.deepStrictEqual(sent, ["fetch 2", "SELECT 1"])
  })

  it("is still to be closed where its fetch was not even sent", () => {
    const { answer, ask, close, cursor, fetch, sent, session } = reading({ interleaves: true })
    ask("SELECT 1")
    const asked = fetch(2)
    session.queue.closeLevel(session.root, fakeErrors.unique)
    assert.strictEqual(asked.error, fakeErrors.unique)
    assert.strictEqual(cursor.failed, fakeErrors.unique)
    assert.isFalse(cursor.isDone)
    session.root.closed = undefined
    const closed = close()
    answer()
    assert.deepStrictEqual(sent, ["SELECT 1", "close cursor"])
    assert.strictEqual(closed.count, 0)
    answer()
    assert.strictEqual(closed.count, 1)
  })

  it("is closed within two seconds, whatever comes of it", () => {
    for (const limit of [0, 60_000]) {
      const { advance, cancelled, close, cursor, engine, fail, sent } = reading({ limit })
      const closed = close()
      assert.isFalse(cursor.isDone)
      advance(1999)
      assert.deepStrictEqual(sent, ["close cursor"])
      advance(1)
      assert.deepStrictEqual(sent, ["close cursor", "cancel"])
      cancelled()
      fail(canceled)
      assert.strictEqual(closed.count, 1)
      // It is no statement of the program's.
      assert.deepStrictEqual(engine.statements, [])
    }
  })

  it("has a limit for each fetch, and a deadline", () => {
    const own = reading({ limit: 300 })
    own.fetch(2)
    own.advance(300)
    assert.deepStrictEqual(own.sent, ["fetch 2", "cancel"])
    const around = reading()
    around.fetch(2, { at: 1200, limit: 200 })
    around.advance(200)
    assert.deepStrictEqual(around.sent, ["fetch 2", "cancel"])
    const free = reading()
    free.fetch(2)
    free.advance(1e9)
    assert.deepStrictEqual(free.sent, ["fetch 2"])
  })

  it("passes on that it is alone, where the driver makes anything of it", () => {
    let told = 0
    reading({ alone: () => told++ }).cursor.alone()
    assert.strictEqual(told, 1)
    reading().cursor.alone()
  })
})

describe("a cursor that has the connection to itself", () => {
  it("is read to its end before another statement, whatever the session has", () => {
    const { answer, ask, cursor, sent } = reading()
    const asked = ask("SELECT 1")
    const next = ask("SELECT 2")
    assert.deepStrictEqual(sent, ["fetch 1024"])
    answer({ rows: [1, 2], done: false })
    assert.deepStrictEqual(sent, ["fetch 1024", "fetch 1024"])
    answer({ rows: [3], done: true })
    assert.deepStrictEqual(cursor.unread, [[1, 2], [3]])
    assert.deepStrictEqual(sent, ["fetch 1024", "fetch 1024", "SELECT 1"])
    answer()
    answer()
    assert.deepStrictEqual([asked.count, next.count], [1, 1])
  })

  it("does not stand in the way once it is closed, by itself or by a failure", () => {
    const closing = reading()
    closing.close()
    closing.ask("SELECT 1")
    closing.answer()
    assert.deepStrictEqual(closing.sent, ["close cursor", "SELECT 1"])
    const failing = reading()
    failing.ask("SELECT 1")
    failing.fail(fakeErrors.unique)
    assert.strictEqual(failing.cursor.failed, fakeErrors.unique)
    assert.deepStrictEqual(failing.sent, ["fetch 1024", "SELECT 1"])
  })

  it("stays in the way when another one is closed", () => {
    const { ask, connection, queue, sent } = reading()
    queue.detach(new SessionCursor(queue, connection.cursor(false), 0))
    ask("SELECT 1")
    assert.deepStrictEqual(sent, ["fetch 1024"])
  })

  it("is fetched from without that", () => {
    const { answer, ask, fetch, sent } = reading()
    fetch(7)
    answer({ rows: [1], done: false })
    assert.deepStrictEqual(sent, ["fetch 7"])
    ask("SELECT 1")
    assert.deepStrictEqual(sent, ["fetch 7", "fetch 1024"])
  })

  it("is read ahead in the level in which the other statement is", () => {
    const { answer, begin, ask, sent, session } = reading()
    begin()
    answer({ rows: [], done: true })
    answer()
    assert.deepStrictEqual(sent, ["fetch 1024", "BEGIN"])
    ask("SELECT 1", { level: session.root })
    assert.deepStrictEqual(sent, ["fetch 1024", "BEGIN"])
  })

  it("is read to its end although the transaction has ended on the server: the statement behind it is refused", () => {
    const { answer, ask, connection, cursor, sent } = reading({ isBegun: true })
    connection.transaction = "idle"
    const asked = ask("SELECT 1")
    assert.deepStrictEqual(sent, ["BEGIN", "fetch 1024"])
    answer({ rows: [1], done: true })
    assert.deepStrictEqual(cursor.unread, [[1]])
    assert.deepInclude(asked.error, { _tag: "QueryError", reason: "TransactionAborted" })
    assert.deepStrictEqual(sent, ["BEGIN", "fetch 1024"])
  })
})

describe("a cursor that shares the connection", () => {
  it("lets statements run between its fetches", () => {
    const { answer, ask, cursor, fetch, sent } = reading({ interleaves: true })
    ask("SELECT 1")
    answer()
    fetch(2)
    answer({ rows: [1], done: true })
    assert.deepStrictEqual(sent, ["SELECT 1", "fetch 2"])
    assert.deepStrictEqual(cursor.unread, [[1]])
  })

  it("is not read further where the transaction has ended on the server", () => {
    const { connection, fetch, sent } = reading({ interleaves: true, isBegun: true })
    connection.transaction = "idle"
    assert.deepInclude(fetch(2).error, { _tag: "QueryError", reason: "TransactionAborted" })
    assert.deepStrictEqual(sent, ["BEGIN"])
  })
})

describe("a cursor that was opened before a transaction", () => {
  const pipelined = (interleaves: boolean) =>
    reading({ hand: handSession({ capabilities: { pipelinedBegin: true } }), interleaves })

  it("is read in it without beginning it: BEGIN goes with the first statement", () => {
    const { answer, ask, begin, fetch, sent, state } = pipelined(true)
    begin()
    fetch(2)
    assert.isFalse(state.isBegun)
    answer({ rows: [1], done: false })
    const asked = ask("INSERT")
    assert.deepStrictEqual(sent, ["fetch 2", "BEGIN + INSERT"])
    assert.isUndefined(asked.error)
  })

  it("is read to its end before its first statement, which begins it", () => {
    const { answer, ask, begin, sent, state } = pipelined(false)
    begin()
    const asked = ask("INSERT")
    assert.isFalse(state.isBegun)
    answer({ rows: [1], done: true })
    assert.deepStrictEqual(sent, ["fetch 1024", "BEGIN + INSERT"])
    answer()
    assert.deepInclude(asked, { count: 1, error: undefined })
  })
})

describe("the opening of a cursor", () => {
  it("sends a BEGIN that is still to be sent before it", () => {
    const { answer, ask, begin, sent } = handSession({ capabilities: { pipelinedBegin: true } })
    begin()
    const asked = ask("SELECT 1", { kind: "open" })
    assert.deepStrictEqual(sent, ["BEGIN"])
    answer()
    assert.deepStrictEqual(sent, ["BEGIN", "open SELECT 1"])
    answer("cursor")
    assert.deepInclude(asked, { count: 1, value: "cursor" })
  })

  it("is not tried where BEGIN was refused", () => {
    const { ask, begin, fail, sent } = handSession({ capabilities: { pipelinedBegin: true } })
    begin()
    const asked = ask("SELECT 1", { kind: "open" })
    const other = ask("SELECT 2")
    fail(fakeErrors.unique, "idle")
    assert.deepStrictEqual([asked.error, other.error], [fakeErrors.unique, fakeErrors.unique])
    assert.strictEqual(ask("SELECT 3").error, fakeErrors.unique)
    assert.deepStrictEqual(sent, ["BEGIN"])
  })

  it("is sent alone outside of a transaction, or behind a BEGIN that was sent", () => {
    const outside = handSession()
    outside.ask("SELECT 1", { kind: "open" })
    assert.deepStrictEqual(outside.sent, ["open SELECT 1"])
    const inside = handSession({ capabilities: { pipelinedBegin: true } })
    inside.begin()
    inside.ask("SELECT 1")
    inside.answer()
    inside.ask("SELECT 2", { kind: "open" })
    assert.deepStrictEqual(inside.sent, ["BEGIN + SELECT 1", "open SELECT 2"])
  })
})
