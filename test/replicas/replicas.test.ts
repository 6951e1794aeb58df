/** Where reads run, and that they show nothing older than what was seen, on a primary and two standbys. */
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { assert, layer } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Db } from "../../src/Db.js"
import type * as DbConfig from "../../src/DbConfig.js"
import type { DbError } from "../../src/DbError.js"
import * as DbHttp from "../../src/DbHttp.js"
import { apart } from "../../src/internal/replicas/Seen.js"
import { describePrivatePostgres, eventually, query } from "../kit/postgres.js"
import { cluster } from "./kit.js"

class Servers extends Context.Tag("Servers")<Servers, Effect.Effect.Success<ReturnType<typeof cluster>>>() {}

class Shop extends Db.Tag("Shop")<Shop>() {}

const port = Shop.scalar<number>("SELECT inet_server_port()")

/** Opens the database over all servers. */
const shop = (options: Partial<DbConfig.Options> = {}) =>
  Layer.unwrapEffect(Effect.map(Servers, ({ primary, standbys }) =>
    Shop.layer({
      url: primary.url,
      replicas: standbys.map(({ url }) => ({ url })),
      pool: { size: 20, overflow: 10 },
      health: { cache: 0 },
      ...options
    })))

/** Sets a setting of a running server. */
const set = (url: string, name: string, value: string) =>
  Effect.zipRight(
    query(url, `ALTER SYSTEM SET ${name} = '${value}'`),
    Effect.zipRight(
      query(url, "SELECT pg_reload_conf()"),
      eventually(query(url, `SHOW ${name}`), ([row]) => String(Object.values(row as object)[0]) === value)
    )
  )

/** All standbys have it while the effect runs. */
const withSetting = (name: string, value: string, usual: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Servers, ({ standbys }) =>
    Effect.acquireUseRelease(
      Effect.forEach(standbys, ({ url }) => set(url, name, value)),
      () => effect,
      () => Effect.forEach(standbys, ({ url }) => set(url, name, usual))
    ))

const fresh = (id: number) =>
  Shop.execute("INSERT INTO counter VALUES (:id, 0) ON CONFLICT (id) DO UPDATE SET n = 0", { id })

const add = (id: number) => Shop.scalar<number>("UPDATE counter SET n = n + 1 WHERE id = :id RETURNING n", { id })

const now = (id: number) => Shop.scalar<number>("SELECT n FROM counter WHERE id = :id", { id })

/** The standbys have replayed all. */
const caughtUp = Effect.flatMap(Servers, ({ primary, standbys }) =>
  Effect.flatMap(
    query(primary.url, "SELECT pg_current_wal_flush_lsn()::text AS lsn"),
    ([row]) =>
      Effect.forEach(standbys, ({ url }) =>
        eventually(
          query(url, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS is", [row!.lsn]),
          ([row]) => row!.is === true
        ))
  ))

/** Reads that are younger than an hour may show anything. */
const anything: Db.ReadOptions = { staleness: "1 hour" }

describePrivatePostgres("replicas", () => {
  layer(Layer.scoped(Servers, cluster(2)), { timeout: 60_000, excludeTestServices: true })((it) => {
    it.effect("Db.read and read-only transactions go to a replica, and all else to the primary", () =>
      Effect.gen(function*() {
        const { primary, standbys } = yield* Servers
        const ports = standbys.map(({ port }) => port)
        const seen = new Set<number>()
        for (let i = 0; i < 4; i++) {
          seen.add(yield* port.pipe(Shop.read(anything)))
        }
        assert.sameMembers([...seen], ports)
        assert.include(ports, yield* port.pipe(Shop.transaction({ readOnly: true })))
        for (
          const elsewhere of [
            port,
            Shop.session(port),
            Shop.transaction(port),
            Shop.script("SELECT inet_server_port() AS p").pipe(Effect.map((sets) => sets[0]![0]!.p))
          ]
        ) {
          assert.strictEqual(yield* elsewhere, primary.port)
        }
      }).pipe(Effect.provide(shop())))

    it.effect(
      "10,000 reads behind writes of their fibers, on replicas that are late: none is older",
      () =>
        Effect.gen(function*() {
          const { primary } = yield* Servers
          const fibers = 100
          const pairs = 100
          const stale: Array<string> = []
          yield* Effect.forEach(Array.from({ length: fibers }, (_, id) => id), fresh, { discard: true })
          yield* Effect.forEach(
            Array.from({ length: fibers }, (_, id) => id),
            (id) =>
              Effect.gen(function*() {
                for (let i = 0; i < pairs; i++) {
                  // Half of them commit by themselves, half with a transaction.
                  const written = yield* (i % 2 === 0 ? add(id) : Shop.transaction(add(id)))
                  const read = yield* Shop.read(now(id))
                  if (read < written) stale.push(`${id}: ${read} < ${written}`)
                }
              }),
            { concurrency: "unbounded", discard: true }
          )
          assert.deepStrictEqual(stale, [])
          const counted = yield* query(primary.url, "SELECT sum(n)::int AS n FROM counter WHERE id < 100")
          assert.deepStrictEqual(counted, [{ n: fibers * pairs }])
          // The replica took a part of them, when it had caught up.
          const { reads, replicas: [replica] } = yield* Shop.info
          // On a busy machine it has when it is asked.
          const { current = 0, waited = 0 } = replica!.reads
          assert.isAbove(current + waited, 0, JSON.stringify(reads))
        }).pipe(
          withSetting("recovery_min_apply_delay", "5ms", "0"),
          // One replica: each further one that is late is asked, too.
          Effect.provide(
            Layer.unwrapEffect(Effect.map(Servers, ({ standbys }) => shop({ replicas: [{ url: standbys[0]!.url }] })))
          )
        ),
      120_000
    )

    it.effect("without what a fiber has seen such a read is older: the test above would see it", () =>
      Effect.gen(function*() {
        yield* fresh(1)
        yield* caughtUp
        yield* Effect.gen(function*() {
          // From here on the hour counts.
          yield* Shop.read(now(1), anything)
          const written = yield* add(1)
          assert.isBelow(yield* Shop.read(now(1), anything), written)
          assert.strictEqual(yield* Shop.read(now(1)), written)
        }).pipe(withSetting("recovery_min_apply_delay", "2s", "0"))
      }).pipe(Effect.provide(shop())))

    it.effect("a write in a read is refused by the server, on a replica and on the primary", () =>
      Effect.gen(function*() {
        yield* fresh(2)
        for (const options of [anything, { staleness: 0 }]) {
          const error = yield* Effect.flip(Shop.read(add(2), options))
          assert.deepStrictEqual([error._tag, error.reason, error.outcome, error.code], [
            "QueryError",
            "ReadOnly",
            "RolledBack",
            "25006"
          ])
        }
        const { primary } = yield* Servers
        const alone = Shop.layer({ url: primary.url })
        const refused = yield* Effect.provide(Effect.flip(Shop.read(add(2))), alone)
        assert.deepStrictEqual([refused._tag, refused.reason], ["QueryError", "ReadOnly"])
        assert.strictEqual(yield* Effect.provide(Shop.read(port), alone), primary.port)
        assert.strictEqual(yield* now(2), 0)
      }).pipe(Effect.provide(shop())))

    it.effect("inside a transaction a read is a part of it, and a transaction inside a read only reads", () =>
      Effect.gen(function*() {
        const { primary, standbys } = yield* Servers
        yield* fresh(3)
        yield* Shop.transaction(Effect.gen(function*() {
          yield* add(3)
          assert.deepStrictEqual(yield* Shop.read(Effect.all([now(3), port])), [1, primary.port])
          assert.strictEqual((yield* Effect.flip(Shop.read(add(3)))).reason, "ReadOnly")
          yield* add(3)
        }))
        assert.strictEqual(yield* Shop.session(Shop.read(port)), primary.port)
        const inside = yield* Shop.read(
          Effect.all([
            port,
            Shop.session(port),
            Shop.transaction(port),
            Shop.read(port),
            Effect.flip(Shop.transaction(add(3)))
          ]),
          anything
        )
        const [first, ...others] = inside
        assert.include(standbys.map(({ port }) => port), first)
        assert.deepStrictEqual(others.slice(0, 3), [first, first, first])
        assert.strictEqual(inside[4].reason, "ReadOnly")
        const refused = yield* Effect.flip(Shop.read(Shop.transaction(port, { readOnly: false })))
        assert.strictEqual(refused.reason, "Parameter")
        assert.strictEqual(yield* now(3), 2)
      }).pipe(Effect.provide(shop())))

    it.effect("what was seen is handed on by a token, by forked fibers and by those that join", () =>
      Effect.gen(function*() {
        yield* fresh(4)
        yield* caughtUp
        // A fiber that has nothing to do with this one.
        const shop = yield* Shop
        const elsewhere = <A, E>(effect: Effect.Effect<A, E, Shop>) =>
          Effect.promise(() => Effect.runPromise(Effect.provideService(apart(effect), Shop, shop)))
        const late = withSetting("recovery_min_apply_delay", "2s", "0")
        yield* Effect.gen(function*() {
          assert.strictEqual(yield* Fiber.join(yield* Effect.fork(add(4))), 1)
          const token = yield* Shop.token
          assert.match(token!, /^[\dA-F]+\/[\dA-F]+$/)
          assert.strictEqual(yield* elsewhere(Shop.read(now(4))), 0)
          assert.strictEqual(yield* elsewhere(Shop.read(now(4)).pipe(Shop.withToken(token))), 1)
          assert.strictEqual(yield* elsewhere(Shop.withToken(Shop.read(now(4)), token)), 1)
          assert.strictEqual(yield* Shop.read(now(4)), 1)
          assert.strictEqual(yield* Fiber.join(yield* Effect.fork(Shop.read(now(4)))), 1)
          assert.strictEqual(yield* elsewhere(Shop.token), undefined)
          yield* Effect.all([add(4), add(4)], { concurrency: 2 })
          assert.strictEqual(yield* Shop.read(now(4)), 3)
        }).pipe(late)
        const refused = yield* Effect.flip(Shop.withToken(port, "no token"))
        assert.strictEqual(refused.reason, "Parameter")
      }).pipe(Effect.provide(shop())))

    it.effect("over HTTP a client keeps what it has seen in a cookie, or in a header", () =>
      Effect.gen(function*() {
        yield* fresh(10)
        yield* caughtUp
        const shop = yield* Shop
        /** Each request has a fiber that knows nothing of those before. */
        const respond = (
          app: Effect.Effect<number, unknown, Shop>,
          headers: Record<string, string>,
          options?: DbHttp.TokenOptions
        ) =>
          Effect.promise(() =>
            app.pipe(
              Effect.map((n) => HttpServerResponse.unsafeJson(n)),
              DbHttp.withToken(Shop, options),
              Effect.map((response) => HttpServerResponse.toWeb(response)),
              Effect.provideService(
                HttpServerRequest.HttpServerRequest,
                HttpServerRequest.fromWeb(new Request("http://localhost/", { headers }))
              ),
              Effect.provideService(Shop, shop),
              Effect.runPromise
            )
          )
        const json = (response: Response) => Effect.promise(() => response.json() as Promise<number>)
        yield* Effect.gen(function*() {
          const written = yield* respond(add(10), {})
          assert.strictEqual(yield* json(written), 1)
          const [cookie] = written.headers.getSetCookie()
          assert.match(cookie!, /^dblive-token-shop=[^;]+; Max-Age=60; Path=\/; HttpOnly; SameSite=Lax$/)
          const [pair = ""] = cookie!.split(";")
          assert.strictEqual(yield* json(yield* respond(Shop.read(now(10)), {})), 0)
          assert.strictEqual(yield* json(yield* respond(Shop.read(now(10)), { cookie: pair })), 1)
          assert.strictEqual(
            yield* json(yield* respond(Shop.read(now(10)), { cookie: "dblive-token-shop=made-up" })),
            0
          )
          const byHeader: DbHttp.TokenOptions = { in: "header", name: "X-Seen" }
          const again = yield* respond(add(10), {}, byHeader)
          const seen = again.headers.get("x-seen")!
          assert.strictEqual(yield* json(yield* respond(Shop.read(now(10)), { "x-seen": seen }, byHeader)), 2)
          // What was only looked up, without a database, has no token.
          assert.deepStrictEqual((yield* respond(Effect.succeed(1), {})).headers.getSetCookie(), [])
        }).pipe(withSetting("recovery_min_apply_delay", "2s", "0"))
      }).pipe(Effect.provide(shop())))

    it.effect("what the primary, a stream of it, a failed statement or another replica has shown counts as seen", () =>
      Effect.gen(function*() {
        const { primary, standbys } = yield* Servers
        yield* fresh(5)
        yield* caughtUp
        const foreign = query(primary.url, "UPDATE counter SET n = n + 1 WHERE id = 5")
        const sees: ReadonlyArray<readonly [string, Effect.Effect<number, unknown, Shop>]> = [
          ["a statement", now(5)],
          ["a session", Shop.session(now(5))],
          ["a transaction", Shop.transaction(now(5))],
          [
            "a stream",
            Effect.flatMap(
              Shop.sql,
              (sql) =>
                Effect.map(
                  Stream.runCollect(sql<{ n: number }>`SELECT n FROM counter WHERE id = 5`.stream),
                  (rows) => Array.from(rows)[0]!.n
                )
            )
          ],
          [
            "an error",
            Effect.map(Effect.flip(Shop.query("SELECT 1 / (n - n) FROM counter WHERE id = 5")), () => -1)
          ]
        ]
        yield* Effect.forEach(sees, ([what, see], index) =>
          Effect.gen(function*() {
            yield* foreign
            const shown = yield* see
            assert.isAtLeast(yield* Shop.read(now(5)), shown === -1 ? index + 1 : shown, what)
          }), { discard: true }).pipe(withSetting("recovery_min_apply_delay", "1s", "0"))
        // Of the replicas one is late.
        yield* caughtUp
        yield* Effect.acquireUseRelease(
          set(standbys[1]!.url, "recovery_min_apply_delay", "1s"),
          () =>
            Effect.gen(function*() {
              yield* foreign
              let shown = 0
              for (let i = 0; i < 200 && shown === 0; i++) {
                if ((yield* Shop.read(now(5), anything)) === 6) shown = 6
              }
              assert.strictEqual(shown, 6)
              for (let i = 0; i < 20; i++) {
                assert.strictEqual(yield* Shop.read(now(5)), 6)
              }
            }),
          () => set(standbys[1]!.url, "recovery_min_apply_delay", "0")
        )
      }).pipe(Effect.provide(shop())))

    it.effect("staleness bounds the age, also where the replicas do not know that they are old", () =>
      Effect.gen(function*() {
        const { primary, standbys } = yield* Servers
        yield* fresh(6)
        yield* caughtUp
        yield* Effect.acquireUseRelease(
          Effect.forEach(standbys, ({ url }) => query(url, "SELECT pg_wal_replay_pause()")),
          () =>
            Effect.gen(function*() {
              const options: Db.ReadOptions = { staleness: "1 second" }
              yield* Shop.read(now(6), options)
              yield* query(primary.url, "UPDATE counter SET n = 1 WHERE id = 6")
              const started = performance.now()
              yield* eventually(Shop.read(now(6), options), (n) => n === 1)
              assert.isBelow(performance.now() - started, 2000)
              const { reads } = yield* Shop.info
              assert.isAbove(reads["behind"] ?? 0, 0)
            }),
          () => Effect.forEach(standbys, ({ url }) => query(url, "SELECT pg_wal_replay_resume()"))
        )
      }).pipe(Effect.provide(shop())))

    it.effect("a replica that lags beyond the limit is left out, and taken again when it has caught up", () =>
      Effect.gen(function*() {
        const { primary, standbys } = yield* Servers
        yield* fresh(7)
        yield* caughtUp
        yield* Effect.acquireUseRelease(
          query(standbys[0]!.url, "SELECT pg_wal_replay_pause()"),
          () =>
            Effect.gen(function*() {
              yield* query(primary.url, "UPDATE counter SET n = 1 WHERE id = 7")
              const report = yield* eventually(Shop.health, ({ status }) => status === "degraded")
              assert.strictEqual(report.error, "no reads go to Shop/replica-1: lagging")
              assert.deepStrictEqual(report.replicas!.map(({ available, name, reason }) => [name, available, reason]), [
                ["Shop/replica-1", false, "lagging"],
                ["Shop/replica-2", true, null]
              ])
              assert.isAbove(report.replicas![0]!.lagSeconds!, 0.2)
              for (let i = 0; i < 6; i++) {
                assert.strictEqual(yield* port.pipe(Shop.read(anything)), standbys[1]!.port)
              }
            }),
          () => query(standbys[0]!.url, "SELECT pg_wal_replay_resume()")
        )
        yield* eventually(port.pipe(Shop.read(anything)), (port) => port === standbys[0]!.port)
        assert.strictEqual((yield* Shop.health).status, "healthy")
      }).pipe(Effect.provide(shop({ replication: { maxLag: "200 millis", retryAfter: "100 millis" } }))))

    it.effect("a conflict with recovery is typed, may be repeated, and sends reads elsewhere for a while", () =>
      Effect.gen(function*() {
        const { primary, standbys } = yield* Servers
        yield* fresh(8)
        yield* caughtUp
        const vacuumed = Effect.zipRight(
          query(primary.url, "DELETE FROM counter WHERE id >= 9"),
          query(primary.url, "VACUUM counter")
        )
        const fill = query(
          primary.url,
          "INSERT INTO counter SELECT i, 0 FROM generate_series(9, 2000) AS i ON CONFLICT DO NOTHING"
        )
        const conflicts = (wait: Effect.Effect<unknown, unknown, Shop>) =>
          Effect.gen(function*() {
            yield* fill
            yield* caughtUp
            const at = yield* Deferred.make<number>()
            const running = yield* Effect.fork(Shop.read(
              Effect.gen(function*() {
                yield* Shop.query("SELECT count(*) FROM counter")
                yield* Deferred.succeed(at, yield* port)
                yield* wait
              }),
              { isolation: "repeatable read", ...anything }
            ))
            const where = yield* Deferred.await(at)
            yield* vacuumed
            const error = yield* Effect.flip(Fiber.join(running)) as Effect.Effect<DbError>
            assert.deepStrictEqual([error.code, error.isTransient, error.outcome], ["40001", true, "RolledBack"])
            const name = `Shop/replica-${standbys.findIndex(({ port }) => port === where) + 1}`
            const { replicas } = yield* Shop.info
            assert.strictEqual(replicas.find((replica) => replica.name === name)!.leftOut?.reason, "conflict")
            assert.notStrictEqual(yield* port.pipe(Shop.read(anything)), where)
            yield* eventually(port.pipe(Shop.read(anything)), (port) => port === where)
          })
        // Of a statement that runs.
        yield* conflicts(Shop.query("SELECT pg_sleep(20)"))
        // Between two statements the server ends the link.
        yield* conflicts(eventually(Effect.exit(port), Exit.isFailure).pipe(Effect.flatten))
      }).pipe(
        withSetting("max_standby_streaming_delay", "0", "30s"),
        Effect.provide(shop({ replication: { retryAfter: "300 millis" } }))
      ))

    it.effect("where the primary does not tell how far it is, a COMMIT is one, and reads go to the primary", () =>
      Effect.gen(function*() {
        const { primary } = yield* Servers
        yield* query(
          primary.url,
          `CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT ALL ON counter TO reader;
           REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC`
        )
        yield* fresh(1)
        yield* Effect.gen(function*() {
          yield* caughtUp
          assert.strictEqual(yield* Shop.transaction(add(1)), 1)
          assert.strictEqual(yield* Shop.read(now(1)), 1)
          assert.strictEqual(yield* port.pipe(Shop.read), primary.port)
          assert.isAbove((yield* Shop.info).reads["unknown position"] ?? 0, 1)
          assert.strictEqual((yield* Effect.flip(Shop.token)).reason, "Authorization")
        }).pipe(Effect.provide(shop({ username: "reader", password: "secret" })))
      }).pipe(
        Effect.ensuring(
          Effect.flatMap(
            Servers,
            ({ primary }) => query(primary.url, "GRANT EXECUTE ON FUNCTION pg_current_wal_insert_lsn() TO PUBLIC")
          )
        ),
        Effect.provide(shop())
      ))

    it.effect("a server that is no standby takes no reads; and with none left they fail, where that is asked for", () =>
      Effect.gen(function*() {
        const { primary } = yield* Servers
        const replicas = [{ url: primary.url }]
        yield* Effect.gen(function*() {
          const error = yield* Effect.flip(Shop.read(port))
          assert.deepStrictEqual([error._tag, error.reason, error.outcome], ["ConnectionError", "NoReplica", "NotSent"])
          assert.include((yield* Effect.flip(Shop.read(port))).message, "Shop/replica-1 is left out (not a standby)")
          assert.strictEqual(yield* port, primary.port)
        }).pipe(Effect.provide(shop({ replicas, replication: { whenNoReplica: "fail" } })))
        yield* Effect.gen(function*() {
          assert.strictEqual(yield* Shop.read(port), primary.port)
          assert.deepStrictEqual((yield* Shop.info).reads, { "left out": 1 })
        }).pipe(Effect.provide(shop({ replicas })))
      }))

    it.effect("a replica that is killed is left out, and taken again when it is back", () =>
      Effect.gen(function*() {
        const { standbys: [first, second] } = yield* Servers
        const readsAt = port.pipe(Shop.read(anything))
        yield* eventually(readsAt, (port) => port === first!.port)
        yield* first!.stop("immediate")
        for (let i = 0; i < 50; i++) {
          assert.strictEqual(yield* readsAt, second!.port)
        }
        const report = yield* Shop.health
        assert.deepStrictEqual([report.status, report.error], ["degraded", "no reads go to Shop/replica-1: down"])
        yield* second!.stop("immediate")
        assert.strictEqual(yield* readsAt, (yield* Servers).primary.port)
        yield* Effect.all([first!.start, second!.start], { concurrency: 2 })
        yield* eventually(readsAt, (port) => port === first!.port)
        yield* eventually(readsAt, (port) => port === second!.port)
        yield* eventually(Shop.health, ({ status }) => status === "healthy")
      }).pipe(Effect.provide(shop({ replication: { retryAfter: "200 millis" } }))), 60_000)
  })
})
