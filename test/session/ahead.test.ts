/** Reads of several fibers of a session that are sent together, with every answer, cancel and moment given by hand. */
import { assert, describe, it } from "@effect/vitest"
import { QueryError, TimeoutError } from "../../src/DbError.js"
import { type Asked, canceled, handSession } from "../kit/handSession.js"

const reads = ["SELECT 1", "SELECT 2", "SELECT 3"]

const failure = new QueryError({
  what: "division by zero",
  reason: "Unknown",
  outcome: "RolledBack",
  database: "orders"
})

/** A transaction in which a first statement runs, and these wait behind it. */
const waiting = (texts: ReadonlyArray<string> = reads) => {
  const hand = handSession({ sharing: { depth: 128 } })
  hand.begun()
  const first = hand.ask("SELECT 0")
  const asked = texts.map((text) => hand.ask(text))
  return { ...hand, first, asked }
}

/** The same, when the first one has been answered. */
const sentTogether = (texts: ReadonlyArray<string> = reads) => {
  const hand = waiting(texts)
  hand.answer("0")
  hand.sent.length = 0
  return hand
}

const ends = (asked: ReadonlyArray<Asked>) => asked.map(({ count, value }) => [count, value])

describe("reads of a session that are sent together", () => {
  it("wait for the first, and then go in one write; each ends in its turn", () => {
    const { answer, asked, connection, sent } = waiting()
    assert.deepStrictEqual(sent, ["BEGIN", "SELECT 0"])
    answer("0")
    assert.deepStrictEqual(sent.slice(2), ["+ SELECT 1", "+ SELECT 2", "+ SELECT 3", "flush"])
    connection.answerNext("1")
    assert.deepStrictEqual(ends(asked), [[1, "1"], [0, undefined], [0, undefined]])
    connection.answerNext("2")
    connection.answerNext("3")
    assert.deepStrictEqual(ends(asked), [[1, "1"], [1, "2"], [1, "3"]])
  })

  it("only those that stand together at the front of the queue, and no more than the depth", () => {
    const { connection, sent } = sentTogether(["SELECT 1", "SELECT 2", "INSERT 3", "SELECT 4", "SELECT 5"])
    assert.deepStrictEqual(connection.pipelined.map(({ text }) => text), ["SELECT 1", "SELECT 2"])
    connection.answerNext()
    connection.answerNext()
    assert.deepStrictEqual(sent.slice(-1), ["INSERT 3"])
    connection.answer()
    assert.deepStrictEqual(connection.pipelined.map(({ text }) => text), ["SELECT 4", "SELECT 5"])
    const hand = handSession({ sharing: { depth: 2 } })
    hand.ask("SELECT 0")
    for (const text of reads) hand.ask(text)
    hand.answer()
    assert.lengthOf(hand.connection.pipelined, 2)
  })

  it("one that cannot be encoded is told in its turn, and none is sent twice", () => {
    const { answer, asked, connection, sent } = waiting()
    connection.onPipeline = (text, done) => {
      if (text !== "SELECT 1") return true
      done(failure, undefined)
      return false
    }
    answer("0")
    assert.strictEqual(asked[0]!.error, failure)
    connection.answerNext("2")
    connection.answerNext("3")
    assert.deepStrictEqual(sent.filter((text) => text.includes("SELECT")), [
      "SELECT 0",
      ...reads.map((text) => `+ ${text}`)
    ])
    assert.deepStrictEqual(asked.map(({ count }) => count), [1, 1, 1])
  })

  it("a driver that throws costs the connection, and each has its end", () => {
    const { answer, asked, connection } = waiting()
    connection.onPipeline = (text) => {
      if (text === "SELECT 2") throw new Error("no room")
      return true
    }
    answer("0")
    assert.isTrue(connection.lost)
    assert.deepStrictEqual(asked.map(({ count }) => count), [1, 1, 1])
    assert.deepStrictEqual(asked.map(({ error }) => error?.outcome), ["Unknown", "Unknown", "Unknown"])
  })

  it("an interrupt of the first is not sent to the server while another is behind it", () => {
    const { asked, connection, sent } = sentTogether()
    let settled = 0
    asked[0]!.request.withdraw(() => settled++)
    assert.deepStrictEqual([settled, sent.includes("cancel")], [1, false])
    asked[2]!.request.withdraw(() => settled++)
    assert.strictEqual(settled, 2)
    connection.answerNext("1")
    connection.answerNext("2")
    connection.answerNext("3")
    assert.deepStrictEqual([asked[1]!.count, asked[1]!.value], [1, "2"])
    assert.strictEqual(asked[2]!.count, 0)
  })

  it("an interrupt of the last that is wanted is, and nothing is sent before it is settled", () => {
    const { ask, asked, cancelled, connection, sent } = sentTogether()
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    let settled = 0
    asked[0]!.request.withdraw(() => settled++)
    assert.deepStrictEqual(sent.slice(-1), ["cancel"])
    const next = ask("SELECT 4")
    connection.failNext(canceled, "open")
    connection.answerNext()
    connection.answerNext()
    assert.deepStrictEqual([settled, sent.includes("SELECT 4")], [0, false])
    cancelled()
    assert.deepStrictEqual([settled, sent.slice(-1)], [1, ["SELECT 4"]])
    connection.answer("4")
    assert.strictEqual(next.value, "4")
  })

  it("a commit waits for what is not wanted any more, and does not stop it", () => {
    const { asked, connection, end, sent } = sentTogether()
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    const commit = end("commit")
    assert.deepStrictEqual(sent, [])
    connection.answerNext("2")
    connection.answerNext("3")
    assert.deepStrictEqual(sent.slice(-1), ["COMMIT"])
    connection.answer()
    assert.deepStrictEqual([commit.count, commit.error], [1, undefined])
  })

  it("a rollback stops it, and begins when that is settled", () => {
    const { asked, cancelled, connection, end, sent } = sentTogether()
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    const rollback = end("rollback")
    assert.deepStrictEqual(sent.slice(-1), ["cancel"])
    connection.failNext(canceled)
    connection.failNext(canceled)
    assert.deepStrictEqual(sent.slice(-1), ["cancel"])
    cancelled()
    assert.deepStrictEqual(sent.slice(-1), ["ROLLBACK"])
    connection.answer()
    assert.strictEqual(rollback.count, 1)
  })

  it("a session that is released meanwhile has both ends, and gives its connection back when all is quiet", () => {
    const { asked, cancelled, connection, end, release, sent, told } = sentTogether()
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    const commit = end("commit")
    const released = release()
    connection.answerNext("2")
    connection.answerNext("3")
    assert.deepStrictEqual([commit.count, released.count], [0, 0])
    cancelled()
    assert.deepStrictEqual(sent.slice(-2), ["COMMIT", "cancel"])
    connection.answer()
    cancelled()
    assert.deepStrictEqual([commit.count, released.count], [1, 1])
    assert.include(told, "release 1")
  })

  it("what does not end in time costs the connection", () => {
    const { advance, asked, connection, end } = sentTogether()
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    const rollback = end("rollback")
    advance(60_000)
    assert.isTrue(connection.lost)
    connection.cancelled(failure)
    assert.strictEqual(rollback.count, 1)
  })

  it("a pool that closes at once ends all of them", () => {
    const { asked, connection, queue } = sentTogether()
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    queue.cut(new TimeoutError({ what: "closing", phase: "Close", outcome: "NotSent", database: "orders" }), "drop")
    assert.isTrue(connection.lost)
    assert.isFalse(queue.isRunning)
  })

  it("the limit of the first ends it, and those behind it go on", () => {
    const { advance, ask, connection, sent } = handSession({ sharing: { depth: 128 } })
    ask("SELECT 0")
    const limited = ask("SELECT 1", { limit: 50 })
    const behind = ask("SELECT 2")
    connection.answer()
    advance(50)
    assert.deepInclude(limited.error, { _tag: "TimeoutError", phase: "Statement", outcome: "Unknown" })
    assert.notInclude(sent, "cancel")
    connection.answerNext("late")
    connection.answerNext("2")
    assert.deepStrictEqual([limited.count, behind.value], [1, "2"])
  })

  it("a failure in a transaction ends those behind it with the server's word, each for itself", () => {
    const { asked, connection } = sentTogether()
    connection.failNext(failure)
    connection.failNext(canceled)
    connection.failNext(canceled)
    assert.deepStrictEqual(asked.map(({ error }) => error), [failure, canceled, canceled])
  })
})
