/** Reads of several fibers of a session that are sent together, with every answer, cancel and moment given by hand. */
import { assert, describe, it } from "@effect/vitest"
import { QueryError, TimeoutError } from "../../src/DbError.js"
import { type Asked, canceled, type HandOptions, handSession } from "../kit/handSession.js"

const reads = ["SELECT 1", "SELECT 2", "SELECT 3"]

const failure = new QueryError({
  what: "division by zero",
  reason: "Unknown",
  outcome: "RolledBack",
  database: "orders"
})

/** A transaction, or a session alone, in which a first statement runs, and these wait behind it. */
const waiting = (
  texts: ReadonlyArray<string> = reads,
  { isAlone = false, ...options }: Pick<HandOptions, "limits"> & { readonly isAlone?: boolean } = {}
) => {
  const hand = handSession({ sharing: { depth: 128 }, ...options })
  if (!isAlone) {
    hand.begun()
  }
  const first = hand.ask("SELECT 0")
  const asked = texts.map((text) => hand.ask(text))
  return { ...hand, first, asked }
}

/** The same, when the first one has been answered. */
const sentTogether = (...args: Parameters<typeof waiting>) => {
  const hand = waiting(...args)
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

  it("a list of statements is none of them, though its first only reads", () => {
    const { answer, ask, connection, sent } = waiting([])
    ask("SELECT 1")
    ask("SELECT 2")
    ask("SELECT 3", { several: true })
    ask("SELECT 4")
    answer("0")
    assert.deepStrictEqual(connection.pipelined.map(({ text }) => text), ["SELECT 1", "SELECT 2"])
    connection.answerNext()
    connection.answerNext()
    assert.strictEqual(sent.at(-1), "all of SELECT 3")
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

  for (const isAlone of [true, false]) {
    it(`are told of a pool that closes what is known of them, ${isAlone ? "alone" : "in a transaction"}`, () => {
      const { asked, ask, queue } = sentTogether(reads, { isAlone })
      const unsent = ask("INSERT 4")
      queue.cut(new TimeoutError({ what: "closing", phase: "Close", outcome: "NotSent", database: "orders" }), "stop")
      const [sent, notSent] = isAlone ? ["Unknown", "NotSent"] as const : ["RolledBack", "RolledBack"] as const
      assert.deepInclude(asked[1]!.error, { _tag: "TimeoutError", phase: "Close", outcome: sent })
      assert.deepInclude(asked[2]!.error, { _tag: "TimeoutError", phase: "Close", outcome: sent })
      assert.deepInclude(unsent.error, { _tag: "TimeoutError", phase: "Close", outcome: notSent })
    })
  }

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

  it("a transaction is not idle while what is not wanted any more still runs", () => {
    const { advance, ask, asked, connection, sent } = sentTogether(reads, {
      limits: { idleInTransactionTimeout: 1000 }
    })
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    const next = ask("INSERT 4")
    advance(1000)
    assert.deepStrictEqual(sent, [])
    connection.answerNext("2")
    connection.answerNext("3")
    assert.deepStrictEqual(sent, ["INSERT 4"])
    connection.answer("4")
    assert.deepStrictEqual([next.count, next.error], [1, undefined])
  })

  it("a transaction is idle from the last answer on", () => {
    const { advance, asked, connection, sent } = sentTogether(reads, { limits: { idleInTransactionTimeout: 1000 } })
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    advance(5000)
    connection.answerNext("2")
    connection.answerNext("3")
    advance(999)
    assert.deepStrictEqual(sent, [])
    advance(1)
    assert.deepStrictEqual(sent, ["ROLLBACK"])
  })

  it("a session that is given back with the last answer leaves the pool's limit of its reset as it is", () => {
    const { cancelled, connection, entry, release, sent } = sentTogether(reads, {
      isAlone: true,
      limits: { idleInTransactionTimeout: 1000 }
    })
    connection.transaction = "open"
    release()
    connection.failNext(canceled)
    connection.failNext(canceled)
    connection.failNext(canceled)
    cancelled()
    assert.deepStrictEqual([sent, entry.deadline], [["cancel", "reset rollback"], 3000])
  })

  it("what is not waited for is not why a transaction has failed", () => {
    const failed = sentTogether()
    failed.asked[0]!.request.withdraw(() => {})
    failed.connection.answerNext("1")
    failed.connection.failNext(failure)
    failed.connection.failNext(canceled)
    const commit = failed.end("commit")
    failed.answer()
    assert.deepInclude(commit.error, { reason: "TransactionAborted", cause: failure })
    const lost = sentTogether()
    lost.asked[0]!.request.withdraw(() => {})
    lost.asked[1]!.request.withdraw(() => {})
    lost.connection.answerNext("1")
    lost.connection.answerNext("2")
    lost.connection.answerNext("3")
    lost.connection.destroy()
    const ended = lost.end("commit")
    assert.deepInclude(ended.error, { reason: "Lost", outcome: "RolledBack" })
  })

  it("how long one behind another takes counts from when the server could begin with it", () => {
    const { advance, asked, connection, engine } = sentTogether()
    asked[0]!.request.withdraw(() => {})
    engine.statements.length = 0
    advance(500)
    connection.answerNext("1")
    advance(3)
    connection.answerNext("2")
    advance(2)
    connection.answerNext("3")
    assert.deepStrictEqual(engine.statements, [3, 2])
  })
})

describe("a read outside of a transaction that is not wanted any more", () => {
  it("is stopped when it takes longer, and those behind it have their answers", () => {
    const { advance, ask, asked, cancelled, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(19)
    assert.deepStrictEqual(sent, [])
    advance(1)
    assert.deepStrictEqual(sent, ["cancel SELECT 1"])
    const next = ask("INSERT 4")
    connection.failNext(canceled)
    connection.answerNext("2")
    connection.answerNext("3")
    assert.deepStrictEqual([asked[1]!.value, asked[2]!.value], ["2", "3"])
    assert.notInclude(sent, "INSERT 4")
    cancelled()
    assert.deepStrictEqual(sent.slice(1), ["INSERT 4"])
    connection.answer("4")
    assert.strictEqual(next.value, "4")
  })

  it("is stopped when it takes longer from its turn on, whoever waits", () => {
    const { advance, asked, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    advance(100)
    connection.answerNext("1")
    advance(19)
    assert.deepStrictEqual(sent, [])
    advance(1)
    assert.deepStrictEqual(sent, ["cancel SELECT 2"])
  })

  it("is not stopped when it ends before", () => {
    const { advance, asked, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(10)
    connection.answerNext("1")
    advance(5000)
    connection.answerNext("2")
    connection.answerNext("3")
    assert.deepStrictEqual(sent, [])
    assert.deepStrictEqual([asked[1]!.value, asked[2]!.value], ["2", "3"])
  })

  it("costs the connection where its cancel has no effect", () => {
    const { advance, asked, connection } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(20)
    advance(1999)
    assert.isFalse(connection.lost)
    advance(1)
    assert.isTrue(connection.lost)
    assert.deepStrictEqual(asked.map(({ count }) => count), [1, 1, 1])
  })

  it("is stopped anew where the server worked at another one", () => {
    const { advance, asked, cancelled, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(20)
    advance(1000)
    cancelled()
    advance(1000)
    assert.deepStrictEqual([sent, connection.lost], [["cancel SELECT 1", "cancel SELECT 1"], false])
  })

  it("costs the connection where its cancel cannot be sent", () => {
    const { advance, asked, cancelled, connection } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(20)
    cancelled(failure)
    assert.isTrue(connection.lost)
  })

  it("and is the last while another is being stopped, ends at once, and the next waits", () => {
    const { advance, ask, asked, cancelled, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(20)
    asked[1]!.request.withdraw(() => {})
    let settled = 0
    asked[2]!.request.withdraw(() => settled++)
    assert.deepStrictEqual([settled, sent], [1, ["cancel SELECT 1"]])
    ask("SELECT 4")
    connection.failNext(canceled)
    cancelled()
    advance(20)
    assert.deepStrictEqual(sent.slice(1), ["cancel SELECT 2"])
    connection.failNext(canceled)
    cancelled()
    connection.answerNext("3")
    assert.deepStrictEqual(sent.slice(2), ["SELECT 4"])
  })

  it("is stopped also where one that is wanted was sent again behind it", () => {
    const { advance, asked, cancelled, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(20)
    assert.deepStrictEqual(sent, ["cancel SELECT 1"])
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    // The cancel has hit the second one.
    connection.sendAgain()
    cancelled()
    advance(19)
    assert.lengthOf(sent, 1)
    advance(1)
    assert.deepStrictEqual(sent.slice(1), ["cancel SELECT 3"])
    connection.failNext(canceled)
    cancelled()
    connection.answerNext("2")
    assert.deepStrictEqual(ends(asked), [[1, undefined], [1, "2"], [0, undefined]])
  })

  it("is no other one that is wanted, though that has come before the one whose turn it is", () => {
    const { advance, asked, connection, sent } = sentTogether(reads, { isAlone: true })
    connection.sendAgain()
    connection.answerNext("2")
    advance(5000)
    assert.deepStrictEqual(sent, [])
    for (const value of ["3", "1"]) connection.answerNext(value)
    assert.deepStrictEqual(ends(asked), [[1, "1"], [1, "2"], [1, "3"]])
  })

  it("and is sent again is stopped in its new place", () => {
    const { advance, asked, cancelled, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(10)
    connection.sendAgain()
    connection.answerNext("2")
    advance(19)
    connection.answerNext("3")
    advance(19)
    assert.deepStrictEqual(sent, [])
    advance(1)
    assert.deepStrictEqual(sent, ["cancel SELECT 1"])
    connection.failNext(canceled)
    cancelled()
    assert.deepStrictEqual(ends(asked), [[1, undefined], [1, "2"], [1, "3"]])
  })

  it("does not keep the end of its session waiting: the others are stopped when its cancel is settled", () => {
    const { advance, asked, cancelled, connection, release, sent, told } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(20)
    const released = release()
    assert.deepStrictEqual(sent, ["cancel SELECT 1"])
    connection.failNext(canceled)
    cancelled()
    assert.deepStrictEqual([sent.slice(1), released.count], [["cancel"], 0])
    connection.failNext(canceled)
    connection.failNext(canceled)
    cancelled()
    assert.strictEqual(released.count, 1)
    assert.include(told, "release 1")
  })
})

describe("a cancel that does not settle", () => {
  it("is waited for as long as one that is wanted runs: it settles behind that", () => {
    const { advance, asked, cancelled, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(20)
    assert.strictEqual(sent.at(-1), "cancel SELECT 1")
    connection.failNext(canceled)
    advance(60_000)
    assert.isFalse(connection.lost)
    connection.answerNext("2")
    connection.answerNext("3")
    cancelled()
    assert.deepStrictEqual(ends(asked).slice(1), [[1, "2"], [1, "3"]])
  })

  it("costs the connection two seconds later, also where all have been answered", () => {
    const { advance, ask, asked, connection, sent } = sentTogether(reads, { isAlone: true })
    asked[0]!.request.withdraw(() => {})
    advance(20)
    assert.strictEqual(sent.at(-1), "cancel SELECT 1")
    for (const _ of reads) {
      connection.answerNext()
    }
    ask("SELECT 4")
    advance(1999)
    assert.deepStrictEqual([connection.lost, sent.includes("SELECT 4")], [false, false])
    advance(1)
    // The connection says why it is not run.
    assert.deepStrictEqual([connection.lost, sent.at(-1)], [true, "SELECT 4"])
  })
})

describe("a read whose limit has passed before its turn", () => {
  it("is not sent, and the others do not wait for it", () => {
    const { answer, ask, block, connection, sent } = waiting([])
    ask("SELECT 1")
    const late = ask("SELECT 2", { deadline: { at: 1100, limit: 100 } })
    ask("SELECT 3")
    block(200)
    answer("0")
    connection.answer()
    assert.notInclude(sent.join(), "SELECT 2")
    assert.deepInclude(late.error, { _tag: "TimeoutError", outcome: "NotSent" })
  })

  it("is stopped where its limit passes while it is sent", () => {
    const { advance, answer, ask, block, connection, sent } = waiting([], { isAlone: true })
    const late = ask("SELECT 1", { deadline: { at: 1100, limit: 100 } })
    ask("SELECT 2")
    connection.onPipeline = (text) => {
      block(text === "SELECT 2" ? 100 : 0)
      return true
    }
    answer("0")
    assert.deepInclude(late.error, { _tag: "TimeoutError", outcome: "Unknown" })
    advance(20)
    assert.strictEqual(sent.at(-1), "cancel SELECT 1")
  })
})

describe("the end of a transaction", () => {
  it("waits for a read that is not wanted any more until the transaction's limit, and is then refused for it", () => {
    const { advance, asked, cancelled, connection, end, sent } = sentTogether(reads)
    asked[2]!.request.withdraw(() => {})
    connection.answerNext()
    connection.answerNext()
    const ended = end("commit", { deadline: { at: 1700, limit: 700 } })
    advance(699)
    assert.deepStrictEqual([sent, ended.count], [[], 0])
    advance(1)
    assert.deepStrictEqual(sent, ["cancel"])
    connection.failNext(canceled)
    cancelled()
    assert.strictEqual(sent.at(-1), "ROLLBACK")
    connection.answer()
    assert.deepInclude(ended.error, { _tag: "TimeoutError", phase: "Transaction", limitMillis: 700 })
  })
})

describe("a read in a transaction that is not wanted any more", () => {
  it("is stopped when the limit of statements is reached, and not before", () => {
    const { advance, asked, cancelled, connection, sent } = sentTogether(reads, { limits: { statementTimeout: 3000 } })
    asked[0]!.request.withdraw(() => {})
    asked[1]!.request.withdraw(() => {})
    advance(2999)
    assert.deepStrictEqual(sent, [])
    advance(1)
    assert.deepStrictEqual(sent, ["cancel SELECT 1"])
    connection.failNext(canceled)
    connection.failNext(canceled)
    connection.failNext(canceled)
    cancelled()
    assert.strictEqual(asked[2]!.error, canceled)
  })

  it("costs the connection where that has no effect, and what waits behind it has its turn", () => {
    const { advance, ask, asked, connection, sent } = sentTogether(reads, { limits: { statementTimeout: 3000 } })
    asked[1]!.request.withdraw(() => {})
    asked[2]!.request.withdraw(() => {})
    connection.answerNext("1")
    ask("INSERT 4")
    advance(5000)
    assert.isTrue(connection.lost)
    // The connection says why it is not run. What a cancel of it might still hit is gone.
    assert.strictEqual(sent.at(-1), "INSERT 4")
    connection.cancelled(failure)
    assert.strictEqual(sent.filter((text) => text === "INSERT 4").length, 1)
  })

  for (const isTurn of [false, true]) {
    it(`is stopped after a minute where statements have no limit and nothing else is wanted (${isTurn ? "while" : "before"} another ran)`, () => {
      const { advance, ask, asked, cancelled, connection, sent } = sentTogether(reads.slice(0, 2))
      if (isTurn) {
        // It is the first, and the second is wanted, without a limit: both may take as long as they do.
        asked[0]!.request.withdraw(() => {})
        advance(100_000)
        assert.deepStrictEqual(sent, [])
        connection.answerNext("1")
      }
      asked[1]!.request.withdraw(() => {})
      if (!isTurn) connection.answerNext("1")
      const next = ask("INSERT 4")
      if (isTurn) {
        // The last one that is wanted is stopped at once.
        assert.deepStrictEqual(sent, ["cancel"])
        connection.failNext(canceled)
        cancelled()
      } else {
        advance(59_999)
        assert.deepStrictEqual(sent, [])
        advance(1)
        assert.deepStrictEqual(sent, ["cancel SELECT 2"])
        advance(2000)
        assert.isTrue(connection.lost)
      }
      assert.strictEqual(sent.at(-1), "INSERT 4")
      assert.strictEqual(next.count, 0)
    })
  }

  it("has no more than a minute from the moment at which nothing else is wanted, where statements have no limit", () => {
    const { advance, asked, cancelled, connection, end, sent } = sentTogether(reads)
    asked[0]!.request.withdraw(() => {})
    advance(100_000)
    asked[2]!.request.withdraw(() => {})
    assert.deepStrictEqual(sent, [])
    connection.answerNext("1")
    connection.answerNext("2")
    const ended = end("commit")
    advance(59_999)
    assert.deepStrictEqual([sent, ended.count], [[], 0])
    advance(1)
    assert.deepStrictEqual(sent, ["cancel SELECT 3"])
    connection.failNext(canceled)
    cancelled()
    assert.deepStrictEqual(sent.slice(1), ["ROLLBACK"])
    connection.answer()
    assert.deepInclude(ended.error, { _tag: "QueryError", reason: "TransactionAborted", outcome: "RolledBack" })
  })
})
