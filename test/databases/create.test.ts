/** `createDatabase`: a missing database is there after the first opening, also when others do the same. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs"
import { Db } from "../../src/Db.js"
import * as DbConfig from "../../src/DbConfig.js"
import { ConnectionError, type DbError } from "../../src/DbError.js"
import { creating } from "../../src/internal/driver/creation.js"
import { fakeErrors, makeFakeDriver } from "../kit/fakeDriver.js"
import { describeStandIn, standIn } from "../kit/mssql.js"
import { describeMysql, mysqlQuery, sharedMysql } from "../kit/mysql.js"
import { describePostgres, query, sharedPostgres } from "../kit/postgres.js"
import { folder } from "./folder.js"

const quote = (name: string) => `"${name.replaceAll("\"", "\"\"")}"`

/** A name that no database has; what is created under it is dropped. */
const freshName = (suffix = "") =>
  Effect.acquireRelease(
    Effect.sync(() => `create_${randomBytes(6).toString("hex")}${suffix}`),
    (name) => query(sharedPostgres().url, `DROP DATABASE IF EXISTS ${quote(name)} WITH (FORCE)`)
  )

const exists = (name: string) =>
  Effect.map(query(sharedPostgres().url, "SELECT 1 FROM pg_database WHERE datname = $1", [name]), (_) => _.length === 1)

const named = (database: string, more: DbConfig.Options = {}): DbConfig.Options => ({
  url: sharedPostgres().url,
  database,
  createDatabase: true,
  ...more
})

const current = Db.query<{ name: string }>("SELECT current_database() AS name")

describePostgres("createDatabase, postgresql", () => {
  it.scopedLive("a missing database is created, and is found the next time", () =>
    Effect.gen(function*() {
      const name = yield* freshName()
      for (const _ of [1, 2]) {
        assert.deepStrictEqual(yield* Effect.provide(current, Db.layer(named(name))), [{ name }])
      }
    }))

  it.scopedLive("without it a missing database is a typed error", () =>
    Effect.gen(function*() {
      const name = yield* freshName()
      const error = yield* Effect.flip(Effect.provide(current, Db.layer(named(name, { createDatabase: false }))))
      assert.strictEqual(error._tag === "ConnectionError" && error.reason, "UnknownDatabase")
      assert.isFalse(yield* exists(name))
    }))

  it.scopedLive("with a prefix, and with the tag's name where none is given", () =>
    Effect.gen(function*() {
      const name = yield* freshName()
      const prefixed = yield* Effect.acquireRelease(
        Effect.succeed(`test.payment.${name}`),
        (name) => query(sharedPostgres().url, `DROP DATABASE IF EXISTS ${quote(name)} WITH (FORCE)`)
      )
      class Named extends Db.Tag(name)<Named>() {}
      const { database: _, ...options } = named(name, { prefix: "test.payment" })
      // The URL names the maintenance database: only its server is meant here.
      const url = new URL(sharedPostgres().url)
      url.pathname = ""
      const ask = Named.query<{ name: string }>("SELECT current_database() AS name")
      assert.deepStrictEqual(yield* Effect.provide(ask, Named.layer({ ...options, url: url.href })), [{
        name: prefixed
      }])
      assert.isFalse(yield* exists(name))
    }))

  it.scopedLive.each([
    ["quotes and statements", "\"; DROP DATABASE postgres; --"],
    ["apostrophes and backslashes", "'\\' || 'x"],
    ["dots and blanks", ".a b.c "],
    ["capitals and other letters", "Größe_表"],
    ["placeholders", "$1 ? :name"]
  ])("a name is never read as SQL: %s", ([, suffix]) =>
    Effect.gen(function*() {
      const name = yield* freshName(suffix)
      assert.deepStrictEqual(yield* Effect.provide(current, Db.layer(named(name))), [{ name }])
      assert.isTrue(yield* exists(name))
      assert.isTrue(yield* exists("postgres"))
    }))

  it.scopedLive("when the first session comes, with connectOnStart off, and with the settings of the session", () =>
    Effect.gen(function*() {
      const name = yield* freshName()
      yield* Effect.gen(function*() {
        assert.isFalse(yield* exists(name))
        const rows = yield* Db.query<{ path: string }>("SELECT current_setting('search_path') AS path")
        assert.deepStrictEqual(rows, [{ path: "app" }])
        assert.isTrue(yield* exists(name))
      }).pipe(Effect.provide(Db.layer(named(name, {
        connectOnStart: false,
        settings: { search_path: "app" },
        // Of statements; creating is none of those, and takes several times as long.
        limits: { statementTimeout: 10 }
      }))))
    }))

  it.scopedLive("many at once, none of which knows of the others", () =>
    Effect.gen(function*() {
      const name = yield* freshName()
      const answers = yield* Effect.all(
        Array.from({ length: 8 }, () =>
          Effect.provide(current, Db.layer(named(name, { pool: { size: 1, overflow: 0 } })))),
        { concurrency: "unbounded" }
      )
      assert.isTrue(answers.every(([row]) =>
        row?.name === name
      ))
    }))

  it.scopedLive("a user that may not create one gets a typed error", () =>
    Effect.gen(function*() {
      const name = yield* freshName()
      const role = yield* Effect.acquireRelease(
        Effect.tap(
          Effect.sync(() => `role_${randomBytes(6).toString("hex")}`),
          (role) => query(sharedPostgres().url, `CREATE ROLE ${role} LOGIN PASSWORD 'no-canary'`)
        ),
        (role) => query(sharedPostgres().url, `DROP ROLE ${role}`)
      )
      const layer = Db.layer(named(name, { username: role, password: "no-canary" }))
      const error = yield* Effect.flip(Effect.provide(current, layer))
      assert.strictEqual(error._tag === "ConnectionError" && error.reason, "Authorization")
      assert.strictEqual(error._tag === "ConnectionError" && error.code, "42501")
      assert.match(
        error._tag === "ConnectionError" ? error.message : "",
        new RegExp(
          `^database "\\w+": the database "${name}" is missing and could not be created: permission denied.* \\(Authorization, 42501\\)\\. [A-Z].*\\.$`
        )
      )
      assert.isFalse(yield* exists(name))
    }))

  it.live("what contradicts it is refused", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(current, Db.layer(named("x", { access: "read-only" }))))
      assert.include(String(error), "createDatabase")
      assert.include(String(error), "access is read-only")
      const nameless = yield* Effect.flip(
        Effect.provide(current, Db.layer({ type: "postgresql", host: "127.0.0.1", createDatabase: true }))
      )
      assert.include(String(nameless), "is missing, and createDatabase needs one")
      const ended = yield* Effect.flip(Effect.provide(current, Db.layer(named("x\0application_name\0y"))))
      assert.include(String(ended), "accepted: a name")
    }))
})

describe("createDatabase, sqlite", () => {
  it.scopedLive("the file is created with or without it", () =>
    Effect.gen(function*() {
      const path = yield* folder
      for (const createDatabase of [true, false]) {
        const filename = `${path}/${createDatabase}/a.db`
        yield* Effect.provide(Db.query("SELECT 1"), Db.layer({ filename, createDatabase }))
        assert.isTrue(Fs.existsSync(filename))
      }
    }))
})

describeMysql("createDatabase, mysql", () => {
  const missing = Effect.acquireRelease(
    Effect.sync(() => `create_${randomBytes(6).toString("hex")}\`; DROP DATABASE mysql; -- a.b`),
    (name) =>
      Effect.flatMap(
        sharedMysql,
        ({ url }) => mysqlQuery(url, `DROP DATABASE IF EXISTS \`${name.replaceAll("`", "``")}\``)
      )
  )

  it.scopedLive("a missing database is created by many at once, whatever its name", () =>
    Effect.gen(function*() {
      const name = yield* missing
      const { url } = yield* sharedMysql
      const options = { url, database: name, ssl: false, pool: { size: 1, overflow: 0 } } as const
      const ask = Db.query<{ name: string }>("SELECT database() AS name")
      const error = yield* Effect.flip(Effect.provide(ask, Db.layer(options)))
      assert.strictEqual(error._tag === "ConnectionError" && error.reason, "UnknownDatabase")
      const answers = yield* Effect.all(
        Array.from({ length: 4 }, () => Effect.provide(ask, Db.layer({ ...options, createDatabase: true }))),
        { concurrency: "unbounded" }
      )
      assert.isTrue(answers.every(([row]) => row?.name === name))
    }))
})

describeStandIn("createDatabase, sql server", () => {
  /** Who may not, cannot be had of the stand-in: what is seen is what it is asked for, and what becomes of its answer. */
  const attempt = (fault: { readonly number: number; readonly message: string }) =>
    Effect.gen(function*() {
      const { caCert, server, url } = yield* standIn()
      server.faults.push({ when: "CREATE DATABASE", action: fault })
      const error = yield* Effect.flip(Effect.provide(
        Db.query("SELECT 1"),
        Db.layer({ url, sslRootCert: caCert, database: "a]; DROP DATABASE master; --", createDatabase: true })
      ))
      const asked = server.log.filter(({ text }) => text.includes("CREATE DATABASE")).map(({ text }) => text)
      assert.deepStrictEqual(asked, ["CREATE DATABASE [a]]; DROP DATABASE master; --]"])
      return error._tag === "ConnectionError" ? error : undefined
    })

  it.scopedLive("a user that may not create one gets a typed error", () =>
    Effect.gen(function*() {
      const error = yield* attempt({ number: 262, message: "CREATE DATABASE permission denied in database 'master'." })
      assert.deepStrictEqual([error?.reason, error?.code], ["Authorization", "262"])
    }))
})

describe("createDatabase, any driver", () => {
  const missing = new ConnectionError({
    what: "there is none",
    reason: "UnknownDatabase",
    outcome: "NotSent",
    database: "default"
  })

  const setUp = (createDatabase: Effect.Effect<void, DbError>) =>
    Effect.gen(function*() {
      const { control, driver } = yield* makeFakeDriver()
      const count = { created: 0 }
      const hook = Effect.zipRight(Effect.sync(() => count.created++), createDatabase)
      const config = yield* DbConfig.resolve("default", { url: "postgresql://h/d", createDatabase: true })
      return { control, count, open: creating({ ...driver, createDatabase: hook }, config).open }
    })

  it.effect("one that another client still makes is waited for, and made once", () =>
    Effect.gen(function*() {
      const { control, count, open } = yield* setUp(Effect.void)
      control.open.next({ fail: missing }, { fail: missing }, { fail: missing }, "ok")
      const fiber = yield* Effect.fork(open)
      yield* TestClock.adjust("200 millis")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual([count.created, control.open.calls], [1, 4])
    }))

  it.effect("that it never comes is told", () =>
    Effect.gen(function*() {
      const { control, open } = yield* setUp(Effect.void)
      control.open.always({ fail: missing })
      const fiber = yield* Effect.fork(Effect.flip(open))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), missing)
    }))

  it.effect("making one has a limit", () =>
    Effect.gen(function*() {
      const { control, open } = yield* setUp(Effect.never)
      control.open.always({ fail: missing })
      const fiber = yield* Effect.fork(Effect.flip(open))
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(fiber)
      assert.deepStrictEqual([error._tag, error.reason], ["TimeoutError", "Connect"])
    }))

  it.effect("nothing else that goes wrong makes a database", () =>
    Effect.gen(function*() {
      const { control, count, open } = yield* setUp(Effect.void)
      control.open.next({ fail: fakeErrors.refused })
      assert.strictEqual((yield* Effect.flip(open)).reason, "Refused")
      assert.strictEqual(count.created, 0)
    }))
})
