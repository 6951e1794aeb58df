import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import { inject, vi } from "vitest"
import type { Connection, Request } from "../../../src/driver/Driver.js"
import { Reader } from "../../../src/internal/driver/pg/reader.js"
import { describePostgres, eventually, freshDatabase, observer } from "../../kit/postgres.js"
import { afterMessage, beforeMessage, makeProxy } from "../../kit/proxy.js"
import { close, closeCursor, driverAt, execute, fetch, openCursor, opened, ping, request } from "./fixture.js"
import { codeOf, gather, prepared, said, send } from "./pipelining.js"

const one = "SELECT $1::int4 AS a"
/** Fails when it runs, and not when its parameter is bound. */
const divide = "SELECT $1::int4 / (n - 1) AS a FROM generate_series(1, 1) AS n"
/** Reads only, and takes as long as its parameter says; a few hundred milliseconds for a million. */
const slow = "SELECT count(*) FROM generate_series(1, $1::int8) AS s(n) WHERE n % 7 = 3"
const forever = 1e13

/** One turn of the event loop. */
const immediate = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

const many = (count: number): Array<Request> => Array.from({ length: count }, (_, at) => request(one, [at]))

/** A connection by way of a proxy, and what to look at the database with. */
const proxied = Effect.gen(function*() {
  const database = yield* freshDatabase
  const proxy = yield* makeProxy(database)
  const connection = yield* Effect.orDie(opened(yield* driverAt(proxy.url(database.url), { ssl: "disable" })))
  return { ask: yield* observer(database.url), connection, database, proxy }
})

/** A connection, and another one to the same database. */
const direct = Effect.gen(function*() {
  const database = yield* freshDatabase
  const connection = yield* Effect.orDie(opened(yield* driverAt(database.url, { ssl: "disable" })))
  return { ask: yield* observer(database.url), connection, database }
})

/** How many writes this process makes to a port meanwhile. */
const writesTo = <A>(port: number, effect: Effect.Effect<A>): Effect.Effect<readonly [A, number]> =>
  Effect.suspend(() => {
    let writes = 0
    // A method of Node's, kept as what it is called with.
    const write = net.Socket.prototype.write as (...args: Array<unknown>) => boolean
    net.Socket.prototype.write = function(this: net.Socket, ...args: Array<unknown>): boolean {
      if (this.remotePort === port) writes++
      return write.apply(this, args)
    }
    return effect.pipe(
      Effect.map((answer) => [answer, writes] as const),
      Effect.ensuring(Effect.sync(() => {
        net.Socket.prototype.write = write as net.Socket["write"]
      }))
    )
  })

/** A way to the server on which every byte of an answer comes by itself, where it is slow; and what its clients have received. */
const byteByByte = (database: { readonly host: string; readonly port: number; readonly url: string }) =>
  Effect.gen(function*() {
    const relay = { isSlow: false }
    const clients = new Set<net.Socket>()
    const server = yield* Effect.acquireRelease(
      Effect.async<net.Server>((resume) => {
        const server = net.createServer((client) => {
          const behind = net.connect(database.port, database.host)
          clients.add(client)
          for (const socket of [client.setNoDelay(true), behind]) socket.on("error", () => {})
          client.on("close", () => behind.destroy())
          client.pipe(behind)
          let last = Promise.resolve()
          behind.on("data", (chunk: Buffer) => {
            const pieces = relay.isSlow ? Array.from(chunk, (byte) => Buffer.of(byte)) : [chunk]
            for (const piece of pieces) {
              // The client is in this process: it has read one when the event loop has gone round twice.
              last = last.then(() =>
                new Promise<void>((next) => client.write(piece, () => setImmediate(() => setImmediate(next))))
              )
            }
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          for (const client of clients) client.destroy()
          server.close()
        })
    )
    // It listens on TCP.
    const { port } = server.address() as net.AddressInfo
    const read = yield* Effect.acquireRelease(
      Effect.sync(() => vi.spyOn(Reader.prototype, "read")),
      (spy) => Effect.sync(() => spy.mockRestore())
    )
    const url = new URL(database.url)
    url.hostname = "127.0.0.1"
    url.port = String(port)
    return {
      relay,
      url: url.href,
      count: () => ({
        pieces: read.mock.calls.length,
        bytes: read.mock.calls.reduce((sum, [, length]) => sum + length, 0)
      })
    }
  })

/** The connection is as good as new: it answers, and keeps nothing of what was sent before. */
const isSound = (connection: Connection) =>
  Effect.gen(function*() {
    assert.isFalse(connection.lost)
    assert.strictEqual(connection.transaction, "idle")
    yield* prepared(connection, request(one, [0]))
    const ends = yield* send(connection, many(3)).all
    assert.deepStrictEqual(ends.map((end) => end.value), [[{ a: 0 }], [{ a: 1 }], [{ a: 2 }]])
    yield* Effect.orDie(ping(connection))
  })

describePostgres("several statements on their way to PostgreSQL", () => {
  it.scoped("nothing is sent before the flush, and everything in one write with it", () =>
    Effect.gen(function*() {
      const { ask, connection, proxy } = yield* proxied
      yield* prepared(connection, request(one, [0]))
      proxy.resetCounts()
      const [sent, writes] = yield* writesTo(
        proxy.port,
        Effect.tap(Effect.sync(() => gather(connection, many(8))), () => ask("SELECT 1"))
      )
      assert.strictEqual(writes, 0)
      const [ends, flushed] = yield* writesTo(
        proxy.port,
        Effect.suspend(() => {
          connection.flush!()
          return sent.all
        })
      )
      assert.strictEqual(flushed, 1)
      assert.deepStrictEqual(ends.map((end) => end.value), Array.from({ length: 8 }, (_, a) => [{ a }]))
      const { frontend } = proxy.counts().messages
      assert.deepStrictEqual(frontend, { B: 8, E: 8, S: 8 })
    }))

  it.scoped("each is answered in order, in its own mode", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      const big = "SELECT $1::int8 AS a"
      yield* prepared(connection, request(one, [0]), request(big, ["1"]))
      const ends = yield* send(connection, [
        request(one, [1]),
        request(one, [2], { mode: "values" }),
        request(one, [3], { mode: "raw" }),
        request(one, [4], { mode: "result" }),
        request(one, [5], { mode: "sets" }),
        request(big, ["6"], { safeIntegers: true }),
        request(big, ["7"])
      ]).all
      assert.deepStrictEqual(ends.map((end) => end.order), [0, 1, 2, 3, 4, 5, 6])
      const values = ends.map((end) => end.value)
      assert.deepStrictEqual(values[0], [{ a: 1 }])
      assert.deepStrictEqual(values[1], [[2]])
      assert.deepStrictEqual(values[2].rows, [{ a: 3 }])
      assert.strictEqual(values[2].command, "SELECT")
      assert.deepStrictEqual(values[3], { rows: [{ a: 4 }], rowsAffected: 0, lastInsertId: undefined })
      assert.deepStrictEqual(values[4], [{ a: 5 }])
      // As a statement that is sent alone gives them.
      assert.deepStrictEqual(values[5], yield* execute(connection, big, ["6"], { safeIntegers: true }))
      assert.deepStrictEqual(values[6], yield* execute(connection, big, ["7"]))
    }))

  it.scoped("the error of one is its own", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      yield* prepared(connection, request(one, [0]), request("SELECT 1"))
      yield* Effect.exit(execute(connection, divide, [1]))
      const circular: Record<string, unknown> = {}
      circular["self"] = circular
      const ends = yield* send(connection, [
        request(one, [1]),
        request(divide, [0]),
        request(one, [2]),
        // Refused by the server before it runs; and again when it is prepared anew.
        request(one, ["no number"]),
        request(one, [3]),
        // Never sent.
        request(one, [circular]),
        request(one, [4])
      ]).all
      assert.deepStrictEqual(ends.map(said), [
        "ok",
        "QueryError 22012 RolledBack",
        "ok",
        "QueryError 22P02 NotSent",
        "ok",
        "QueryError Parameter NotSent",
        "ok"
      ])
      assert.deepStrictEqual([0, 2, 4, 6].map((at) => ends[at]!.value), [1, 2, 3, 4].map((a) => [{ a }]))
      yield* isSound(connection)
    }))

  it.scoped("a table altered meanwhile by another connection: each that was prepared before is run again", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* direct
      yield* ask("CREATE TABLE t (a int4)")
      yield* ask("INSERT INTO t VALUES (1)")
      const read = request("SELECT * FROM t")
      yield* prepared(connection, read, request(one, [0]))
      yield* ask("ALTER TABLE t ADD COLUMN b int4 DEFAULT 2")
      const sent = send(connection, [request(one, [1]), read, request(one, [2]), read, read, request(one, [3])])
      const ends = yield* sent.all
      assert.deepStrictEqual(sent.again, [1, 3, 4])
      assert.deepStrictEqual(ends.map(said), ["ok", "ok", "ok", "ok", "ok", "ok"])
      const both = [{ a: 1, b: 2 }]
      assert.deepStrictEqual(ends.map((end) => end.value), [[{ a: 1 }], both, [{ a: 2 }], both, both, [{ a: 3 }]])
      // Those that are not run again keep their order.
      assert.isTrue(ends[0]!.order < ends[2]!.order && ends[2]!.order < ends[5]!.order)
      // The statement was prepared anew by each: all but the last one are closed when a name is needed the next time.
      yield* prepared(connection, request("SELECT 42"))
      const left = yield* execute(
        connection,
        "SELECT count(*)::int4 AS n FROM pg_prepared_statements WHERE statement = $1",
        [
          read.text
        ]
      )
      assert.deepStrictEqual(left, [{ n: 1 }])
      yield* isSound(connection)
    }))

  it.scoped("one whose text is forgotten meanwhile is prepared once more", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      const [first, second] = many(2)
      yield* prepared(connection, first!)
      assert.isTrue(connection.canPipeline!(second!))
      yield* Effect.orDie(execute(connection, "DEALLOCATE ALL"))
      const end = yield* Effect.async<unknown>((resume) => {
        connection.pipeline!(second!, (error, value) => resume(Effect.succeed(error ?? value)))
        connection.flush!()
      })
      assert.deepStrictEqual(end, [{ a: 1 }])
      yield* isSound(connection)
    }))

  it.scoped("a table altered meanwhile: those with lists among their parameters are run again, and what is sent behind them has its own answer", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* direct
      yield* ask("CREATE TABLE t (a int4)")
      yield* ask("INSERT INTO t VALUES (1), (2), (3)")
      const read = (list: ReadonlyArray<number>) => request("SELECT * FROM t WHERE a = ANY($1) ORDER BY a", [list])
      yield* prepared(connection, read([1]), request(one, [0]))
      yield* ask("ALTER TABLE t ADD COLUMN b int4 DEFAULT 7")
      const behind: Array<unknown> = []
      const first = gather(connection, [read([1])])
      // In the same turn as the first is told that it is prepared no more.
      connection.pipeline!(request(one, [4]), (_, value) => {
        behind.push(value)
        for (const n of [5, 6]) {
          if (connection.canPipeline!(request(one, [n]))) {
            connection.pipeline!(request(one, [n]), (_, value) => behind.push(value))
          }
        }
        connection.flush!()
      })
      const others = send(connection, [read([2, 3]), read([3])])
      assert.deepStrictEqual((yield* first.all).map((end) => end.value), [[{ a: 1, b: 7 }]])
      // To be prepared, and then to be run.
      assert.deepStrictEqual([first.again, others.again], [[0, 0], [0, 1, 0, 1]])
      assert.deepStrictEqual((yield* others.all).map((end) => end.value), [[{ a: 2, b: 7 }, { a: 3, b: 7 }], [{
        a: 3,
        b: 7
      }]])
      yield* Effect.orDie(ping(connection))
      assert.deepStrictEqual(behind, [4, 5, 6].slice(0, behind.length).map((a) => [{ a }]))
      yield* isSound(connection)
    }))

  it.scoped("a statement that the server has not any more is prepared again", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* direct
      yield* ask("CREATE FUNCTION forget() RETURNS int4 LANGUAGE plpgsql AS $$ BEGIN DEALLOCATE ALL; RETURN 1; END $$")
      yield* ask("CREATE VIEW forgetting AS SELECT forget()")
      yield* prepared(connection, request(one, [0]))
      yield* execute(connection, "SELECT forget FROM forgetting")
      const ends = yield* send(connection, many(4)).all
      assert.deepStrictEqual(ends.map(said), ["ok", "ok", "ok", "ok"])
      assert.deepStrictEqual(ends.map((end) => end.value), [0, 1, 2, 3].map((a) => [{ a }]))
      yield* isSound(connection)
    }))

  it.scoped("says where a statement cannot be sent behind others", () =>
    Effect.gen(function*() {
      const { connection, database } = yield* direct
      const can = (text: string, options: Partial<Request> = {}) => connection.canPipeline!(request(text, [], options))
      assert.isFalse(can("SELECT 1"), "not prepared yet")
      yield* prepared(connection, request("SELECT 1"), request("SELECT pg_sleep(0)"), request("SHOW work_mem"))
      assert.isTrue(can("SELECT 1"))
      assert.isFalse(can("SELECT 1; SELECT 1"), "several statements")
      assert.isFalse(can("SELECT 1", { begin: "BEGIN" }), "with a BEGIN")
      assert.isFalse(can("SELECT 1", { prepare: false }), "unprepared")
      assert.isFalse(can("SELECT pg_sleep(0)"), "waits")
      assert.isFalse(can("SHOW work_mem"), "no plain statement")
      yield* Effect.orDie(execute(connection, "SELECT 1", [], { begin: "BEGIN" }))
      assert.isTrue(can("SELECT 1"), "in a transaction")
      yield* execute(connection, "SELECT 1/0").pipe(Effect.ignore)
      assert.isFalse(can("SELECT 1"), "in one that has failed")
      yield* Effect.orDie(execute(connection, "ROLLBACK"))
      yield* Effect.orDie(execute(connection, "SELECT 1", [], { begin: "BEGIN", statementTimeout: 1000 }))
      assert.isFalse(can("SELECT 1"), "in one with limits of its own")
      yield* Effect.orDie(execute(connection, "COMMIT"))
      assert.isTrue(can("SELECT 1"))

      const cursor = yield* Effect.orDie(openCursor(connection, "SELECT generate_series(1, 10)"))
      yield* fetch(cursor, 2)
      assert.isFalse(can("SELECT 1"), "beside an open cursor")
      yield* closeCursor(cursor)
      assert.isTrue(can("SELECT 1"))

      // Text would be taken for other text.
      yield* execute(connection, "CREATE VIEW latin AS SELECT set_config('client_encoding', 'LATIN1', false)")
      yield* prepared(connection, request("SELECT 1"))
      yield* execute(connection, "SELECT * FROM latin")
      assert.isFalse(can("SELECT 1"), "with another encoding")
      yield* execute(connection, "RESET client_encoding")
      yield* prepared(connection, request("SELECT 1"))
      assert.isTrue(can("SELECT 1"))

      connection.destroy()
      assert.isFalse(can("SELECT 1"), "on a lost link")
      // `canPipeline` was not asked: an error all the same.
      const errors: Array<string> = []
      connection.pipeline!(request("SELECT 1"), (error) => errors.push(codeOf(error)))
      connection.flush!()
      assert.deepStrictEqual(errors, ["ConnectionError Lost"])

      const pooled = yield* opened(yield* driverAt(database.url, { prepare: false }))
      yield* prepared(pooled, request("SELECT 1"))
      assert.isFalse(pooled.canPipeline!(request("SELECT 1")), "behind a pooler in transaction mode")
    }))

  it.scoped("nothing else is taken while statements are under way", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      yield* prepared(connection, request(one, [0]))
      const sent = send(connection, many(3))
      const error = yield* Effect.flip(execute(connection, "SELECT 1"))
      assert.strictEqual(error.outcome, "NotSent")
      assert.deepStrictEqual((yield* sent.all).map(said), ["ok", "ok", "ok"])
    }))
})

describePostgres("the link breaks with several statements on their way to PostgreSQL", () => {
  const outcomes = (ends: ReadonlyArray<Parameters<typeof said>[0]>) => ends.map(said)

  it.scoped("by a cut before or after the end of any of them: what was answered stays, of the others nothing is known", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const proxy = yield* makeProxy(database)
      const driver = yield* driverAt(proxy.url(database.url), { ssl: "disable" })
      for (const point of [beforeMessage, afterMessage]) {
        for (let nth = 1; nth <= 4; nth++) {
          const connection = yield* Effect.orDie(opened(driver))
          yield* prepared(connection, request(one, [0]))
          let completed = 0
          const { fired } = proxy.at(point("backend", ({ type }) => type === "C" && ++completed === nth), "cut")
          const sent = send(connection, many(4))
          yield* fired
          const ends = yield* sent.all
          // Without the ReadyForQuery behind it, the last one is not known to be committed.
          const known = nth - 1
          assert.deepStrictEqual(
            outcomes(ends),
            [0, 1, 2, 3].map((at) => at < known ? "ok" : "ConnectionError Lost Unknown"),
            `${point === beforeMessage ? "before" : "after"} answer ${nth}`
          )
          assert.deepStrictEqual(ends.map((end) => end.order), [0, 1, 2, 3])
          assert.isTrue(connection.lost)
        }
      }
    }))

  it.scoped("by pg_terminate_backend: the one that ran is undone, those behind it were never reached", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* direct
      yield* ask("CREATE TABLE t (a int4)")
      const insert = request("INSERT INTO t SELECT 1 FROM generate_series(1, $1::int8) AS s(n) WHERE n < 2", [forever])
      yield* prepared(connection, request(one, [0]), { ...insert, params: [1] })
      const lost: Array<string> = []
      connection.onLost = (error) => lost.push(codeOf(error))
      const sent = send(connection, [request(one, [1]), insert, request(one, [2]), request(one, [3])])
      yield* eventually(
        ask("SELECT state FROM pg_stat_activity WHERE pid = $1", [connection.id]),
        ([row]) => row!["state"] === "active" && sent.ends[0] !== undefined
      )
      yield* ask("SELECT pg_terminate_backend($1)", [connection.id])
      assert.deepStrictEqual(outcomes(yield* sent.all), [
        "ok",
        "ConnectionError ServerShutdown RolledBack",
        "ConnectionError ServerShutdown NotSent",
        "ConnectionError ServerShutdown NotSent"
      ])
      // It is told behind the answers.
      yield* Effect.yieldNow()
      assert.strictEqual(lost.length, 1)
      assert.deepStrictEqual(yield* ask("SELECT count(*)::int4 AS n FROM t"), [{ n: 1 }])
    }))

  it.scoped("by destroy: each ends once; what was not sent yet is not sent", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      const sent = send(connection, [request(slow, [forever]), request(one, [1])])
      const gathered = gather(connection, many(2))
      proxy.resetCounts()
      connection.destroy()
      connection.flush!()
      assert.deepStrictEqual(outcomes(sent.ends), ["ConnectionError Lost Unknown", "ConnectionError Lost Unknown"])
      assert.deepStrictEqual(outcomes(gathered.ends), ["ConnectionError Lost NotSent", "ConnectionError Lost NotSent"])
      assert.deepStrictEqual(gathered.ends.map((end) => end!.order), [0, 1])
      assert.isUndefined(proxy.counts().messages.frontend["B"])
    }))

  it.scoped("by a close that does not wait for them", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      yield* prepared(connection, request(one, [0]))
      const sent = send(connection, many(2))
      yield* Effect.orDie(close(connection))
      assert.deepStrictEqual(outcomes(yield* sent.all), [
        "ConnectionError Lost Unknown",
        "ConnectionError Lost Unknown"
      ])
    }))

  it.scoped("beside a cancel: each ends once, and so does the cancel", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      const head = request(slow, [forever])
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      const sent = send(connection, [head, ...many(2)])
      proxy.blackHole()
      const cancels: Array<string> = []
      connection.cancel((error) => cancels.push(codeOf(error)), head)
      connection.destroy()
      assert.deepStrictEqual(cancels, ["ConnectionError Lost"])
      assert.deepStrictEqual(outcomes(sent.ends), Array(3).fill("ConnectionError Lost Unknown"))
    }))
})

describePostgres("stopping one of several statements on PostgreSQL", () => {
  const stop = (connection: Connection, target: Request) =>
    Effect.async<void, unknown>((resume) =>
      connection.cancel((error) => resume(error === undefined ? Effect.void : Effect.fail(error)), target)
    )

  it.scoped("the first one is stopped, those behind it are answered", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      // The caller keeps its limit.
      const head = request(slow, [forever], { statementTimeout: 60_000 })
      const sent = send(connection, [head, ...many(5)])
      yield* stop(connection, head)
      const ends = yield* sent.all
      assert.deepStrictEqual(ends.map(said), ["QueryError 57014 RolledBack", "ok", "ok", "ok", "ok", "ok"])
      assert.deepStrictEqual(ends.slice(1).map((end) => end.value), [0, 1, 2, 3, 4].map((a) => [{ a }]))
      yield* isSound(connection)
    }))

  it.scoped("where it is not the first one nothing is stopped, and meanwhile nothing else is sent", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      const head = request(slow, [forever])
      const last = request(one, [1])
      const sent = send(connection, [head, last])
      yield* stop(connection, last)
      assert.deepStrictEqual(sent.ends, [undefined, undefined])
      assert.isTrue(connection.canPipeline!(last))
      let isStopped = false
      connection.cancel(() => {
        isStopped = true
      }, head)
      assert.isFalse(connection.canPipeline!(last))
      assert.deepStrictEqual((yield* sent.all).map(said), ["QueryError 57014 RolledBack", "ok"])
      yield* eventually(Effect.sync(() => isStopped), (is) => is)
      assert.isTrue(connection.canPipeline!(last))
    }))

  it.scoped("the next one is stopped as well, though nothing shows yet that the cancel of the first is spent", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      const [first, second] = [request(slow, [forever]), request(slow, [forever])]
      const sent = send(connection, [first, second, ...many(2)])
      let settled = 0
      connection.cancel(() => settled++, first)
      yield* eventually(Effect.sync(() => sent.ends[0]), (end) => end !== undefined)
      yield* stop(connection, second)
      const ends = yield* sent.all
      assert.deepStrictEqual(ends.map(said), ["QueryError 57014 RolledBack", "QueryError 57014 RolledBack", "ok", "ok"])
      yield* eventually(Effect.sync(() => settled), (count) => count === 1)
      yield* isSound(connection)
    }))

  it.scoped("a cancel that is not ours is passed on", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* direct
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      const sent = send(connection, [request(one, [1]), request(slow, [forever]), request(one, [2])])
      yield* eventually(
        ask("SELECT state FROM pg_stat_activity WHERE pid = $1", [connection.id]),
        ([row]) => row!["state"] === "active" && sent.ends[0] !== undefined
      )
      yield* ask("SELECT pg_cancel_backend($1)", [connection.id])
      assert.deepStrictEqual((yield* sent.all).map(said), ["ok", "QueryError 57014 RolledBack", "ok"])
      yield* isSound(connection)
    }))

  it.scoped("a follower that the cancel hits is sent again when nothing of the cancel is under way", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      const head = request(slow, [2_000_000])
      const follower = request(slow, [3_000_000])
      const sent = send(connection, [head, follower, ...many(2)])
      // The cancel is held until its target has ended, and comes when the follower runs.
      const { fired } = proxy.at(beforeMessage("frontend", ({ type }) => type === "cancelRequest"), "hold")
      const stopping = Effect.runPromise(Effect.orDie(stop(connection, head)))
      yield* fired
      yield* eventually(Effect.sync(() => sent.ends[0]), (end) => end !== undefined)
      proxy.heal()
      yield* Effect.promise(() => stopping)
      const ends = yield* sent.all
      assert.deepStrictEqual(ends.map(said), ["ok", "ok", "ok", "ok"])
      assert.deepStrictEqual(ends[1]!.value, [{ count: "428572" }])
      assert.deepStrictEqual(sent.again, [1])
      assert.strictEqual(ends[1]!.order, 3, "it was sent again, behind those that were not hit")
      yield* isSound(connection)
    }))

  /**
   * Races of a cancel with the end of what it is meant for, with seven statements behind that which nothing may hit. `rows` is how much
   * they have to do, so that the cancel meets each of them.
   */
  const races = (count: number, ssl: "disable" | "require", rows: number) =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const connection = yield* Effect.orDie(opened(yield* driverAt(database.url, { ssl })))
      const seed = Number(process.env["DBLIVE_SEED"] ?? Date.now() % 2 ** 31)
      console.log(`cancels at depth (ssl ${ssl}): DBLIVE_SEED=${seed}`)
      // Mulberry32.
      let state = seed
      const random = (): number => {
        state = (state + 0x6d2b79f5) | 0
        let t = Math.imul(state ^ (state >>> 15), 1 | state)
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
      }
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      let stopped = 0
      let again = 0
      let both = 0
      for (let race = 0; race < count; race++) {
        const head = request(slow, [race % 10 === 9 ? forever : Math.floor(random() * rows)])
        const innocent = Array.from({ length: 7 }, (_, at) =>
          random() < 0.5 ? request(one, [at]) : request(slow, [Math.floor(random() * rows * 0.75)]))
        // In some, the next one is to be stopped as well, while the cancel of the first is under way.
        const doomed = race % 3 === 0
          ? request(slow, [race % 9 === 0 ? forever : Math.floor(random() * rows * 0.75)])
          : undefined
        if (doomed !== undefined) {
          innocent[0] = doomed
        }
        const sent = send(connection, [head, ...innocent])
        // The answer may come before, between and after.
        const turns = Math.floor(random() * 6)
        for (let turn = 0; turn < turns; turn++) {
          yield* Effect.yieldNow().pipe(Effect.zipRight(immediate))
        }
        const stopping = stop(connection, head)
        if (doomed === undefined) {
          yield* stopping
        } else {
          const next = Effect.zipRight(
            eventually(
              Effect.sync(() =>
                sent.ends[0]
              ),
              (end) => end !== undefined
            ),
            Effect.suspend(() => stop(connection, doomed))
          )
          yield* Effect.all([stopping, next], { concurrency: 2 })
        }
        const ends = yield* sent.all
        const [first, ...others] = ends
        if (first!.error !== undefined) {
          stopped++
          assert.strictEqual(said(first), "QueryError 57014 RolledBack")
        }
        others.forEach((end, at) => {
          const { params, text } = innocent[at]!
          if (innocent[at] === doomed && end.error !== undefined) {
            both++
            assert.strictEqual(said(end), "QueryError 57014 RolledBack")
            return
          }
          assert.strictEqual(said(end), "ok", `race ${race}, innocent ${at}, seed ${seed}`)
          const [n] = params as [number]
          const expected = text === one ? [{ a: n }] : [{ count: String(Math.floor((n + 4) / 7)) }]
          assert.deepStrictEqual(end.value, expected)
        })
        if (ends.some((end, at) => end.order !== at)) again++
      }
      console.log(
        `cancels at depth: ${stopped} of ${count} stopped, ${both} times the next one as well, ${again} times another was hit and sent again`
      )
      assert.isAtLeast(stopped, count / 10)
      yield* isSound(connection)
    })

  it.scoped("no innocent one fails: 500 races at depth 8", () => races(500, "disable", 4_000), 120_000)

  it.scoped.skipIf(inject("caCert") === undefined)(
    `no innocent one fails over TLS either, where a cancel takes a handshake: 100 races at depth 8${
      inject("caCert") === undefined ? " (skipped: the given server has no certificate of ours)" : ""
    }`,
    () => races(100, "require", 30_000),
    120_000
  )
})

describePostgres("what else may come between the answers of PostgreSQL", () => {
  it.scoped("notices and notifications stand in the way of none", () =>
    Effect.gen(function*() {
      const { ask, connection } = yield* direct
      yield* ask(
        "CREATE FUNCTION loud(n int4) RETURNS int4 LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'n'; RETURN n; END $$"
      )
      yield* ask("CREATE VIEW loud AS SELECT loud(n) AS a FROM generate_series(1, 3) AS n")
      const noisy = request("SELECT a FROM loud")
      const notify = request("SELECT pg_notify('here', $1)", ["x"])
      yield* execute(connection, "LISTEN here")
      yield* prepared(connection, request(one, [0]), noisy, notify)
      const ends = yield* send(connection, [request(one, [1]), noisy, notify, noisy, request(one, [2])]).all
      assert.deepStrictEqual(ends.map(said), ["ok", "ok", "ok", "ok", "ok"])
      const three = [{ a: 1 }, { a: 2 }, { a: 3 }]
      assert.deepStrictEqual([0, 1, 3, 4].map((at) => ends[at]!.value), [[{ a: 1 }], three, three, [{ a: 2 }]])
    }))

  for (const ssl of ["disable", "require"] as const) {
    const skipped = ssl === "require" && inject("caCert") === undefined
    it.scoped.skipIf(skipped)(
      `1,000 under way, with large values both ways (ssl ${ssl})${
        skipped ? " (skipped: the given server has no certificate of ours)" : ""
      }`,
      () =>
        Effect.gen(function*() {
          const database = yield* freshDatabase
          const connection = yield* Effect.orDie(opened(yield* driverAt(database.url, { ssl })))
          const echo = "SELECT $1::text AS a"
          const large = "SELECT repeat($1::text, 4000000) AS a, $2::text AS b"
          yield* prepared(connection, request(echo, [""]), request(large, ["", ""]))
          const long = "ü".repeat(20_000)
          const huge = "x".repeat(4_000_000)
          const requests = Array.from({ length: 1_000 }, (_, at) =>
            at === 500 ? request(large, ["é", huge]) : request(echo, [`${at} ${long}`]))
          const ends = yield* send(connection, requests).all
          ends.forEach((end, at) => {
            assert.strictEqual(said(end), "ok")
            assert.strictEqual(end.order, at)
            const [row] = end.value
            // Not by an assertion: it would print them.
            const isRight = at === 500
              ? row.a.length === 4_000_000 && row.b === huge
              : row.a === `${at} ${long}`
            assert.isTrue(isRight, `value ${at}`)
          })
          yield* isSound(connection)
        }),
      60_000
    )
  }

  it.scoped("a link whose bytes come late", () =>
    Effect.gen(function*() {
      const { connection, proxy } = yield* proxied
      yield* prepared(connection, request(one, [0]))
      proxy.delay(20)
      const first = send(connection, many(3))
      const second = send(connection, many(3))
      const ends = [...(yield* first.all), ...(yield* second.all)]
      assert.deepStrictEqual(ends.map((end) => end.value), [0, 1, 2, 0, 1, 2].map((a) => [{ a }]))
    }))

  it.scoped("answers of which every byte comes by itself", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const { count, relay, url } = yield* byteByByte(database)
      const connection = yield* Effect.orDie(opened(yield* driverAt(url, { ssl: "disable" })))
      const text = "SELECT $1::text AS a, NULL AS b, generate_series(1, 2) AS c"
      yield* prepared(connection, request(one, [0]), request(text, [""]))
      yield* Effect.exit(execute(connection, divide, [1]))
      relay.isSlow = true
      const before = count()
      const ends = yield* send(connection, [
        request(one, [1]),
        request(text, ["äöü 😀"]),
        request(divide, [0]),
        request(one, [2])
      ])
        .all
      assert.deepStrictEqual(ends.map(said), ["ok", "ok", "QueryError 22012 RolledBack", "ok"])
      assert.deepStrictEqual([0, 1, 3].map((at) => ends[at]!.value), [
        [{ a: 1 }],
        [{ a: "äöü 😀", b: null, c: 1 }, { a: "äöü 😀", b: null, c: 2 }],
        [{ a: 2 }]
      ])
      // What was received was received in pieces of one byte, and in no others.
      const { bytes, pieces } = count()
      assert.isAbove(bytes - before.bytes, 100)
      assert.strictEqual(pieces - before.pieces, bytes - before.bytes)
      relay.isSlow = false
      yield* isSound(connection)
    }))

  it.scoped("what an answer's owner sends at once goes behind the others", () =>
    Effect.gen(function*() {
      const { connection } = yield* direct
      yield* prepared(connection, request(one, [0]))
      const values: Array<unknown> = []
      yield* Effect.async<void>((resume) => {
        let left = 50
        const next = (at: number): void => {
          assert.isTrue(connection.canPipeline!(request(one, [at])))
          connection.pipeline!(request(one, [at], { mode: "values" }), (_, rows: any) => {
            values.push(rows[0][0])
            if (--left > 0 && at < 45) next(at + 5)
            if (values.length === 50) resume(Effect.void)
          })
          connection.flush!()
        }
        for (let at = 0; at < 5; at++) next(at)
      })
      assert.deepStrictEqual(values, Array.from({ length: 50 }, (_, at) => at))
    }))

  it.scoped("a pooler's word that the server is gone tells nothing of those that it was sent", () =>
    Effect.gen(function*() {
      const database = yield* freshDatabase
      const fields = Buffer.from("SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0")
      const fatal = Buffer.alloc(5)
      fatal.write("E", 0)
      fatal.writeInt32BE(fields.length + 4, 1)
      // Passes everything on, until it says what PgBouncer does.
      const clients = new Set<net.Socket>()
      const pooler = yield* Effect.acquireRelease(
        Effect.async<net.Server>((resume) => {
          const server = net.createServer((client) => {
            const behind = net.connect(database.port, database.host)
            clients.add(client)
            for (const socket of [client, behind]) socket.on("error", () => {})
            client.on("close", () => behind.destroy())
            client.pipe(behind).pipe(client)
            client.on("crash", () => {
              behind.unpipe(client)
              client.unpipe(behind)
              client.end(Buffer.concat([fatal, fields]))
            })
          })
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.sync(() => {
            for (const client of clients) client.destroy()
            server.close()
          })
      )
      const url = new URL(database.url)
      url.hostname = "127.0.0.1"
      // It listens on TCP.
      url.port = String((pooler.address() as net.AddressInfo).port)
      const connection = yield* Effect.orDie(opened(yield* driverAt(url.href, { ssl: "disable" })))
      yield* prepared(connection, request(one, [0]), request(slow, [1]))
      const sent = send(connection, [request(slow, [forever]), ...many(2)])
      for (const client of clients) client.emit("crash")
      assert.deepStrictEqual((yield* sent.all).map((end) => end.error?.outcome), ["Unknown", "Unknown", "Unknown"])
    }))
})
