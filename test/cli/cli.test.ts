import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { bundle } from "../kit/bundle.js"
import { describePostgres, freshDatabase } from "../kit/postgres.js"
import * as Shell from "./shell.js"

const file = bundle(new URL("../../src/internal/cli/main.ts", import.meta.url))

const shell = Effect.map(Shell.shell, (shell) => ({ ...shell, start: shell.start(file) }))

const sqlite = ["--url", "sqlite:///test.db"]

describe("dblive", () => {
  it.scopedLive("explains itself", () =>
    Effect.gen(function*() {
      const { dblive, start } = yield* shell
      const help = yield* start(["--help"])
      expect(help.code).toBe(0)
      for (
        const command of [
          "migrate",
          "status",
          "plan",
          "validate",
          "repair",
          "baseline",
          "undo",
          "new",
          "check",
          "health",
          "info",
          "ping",
          "query"
        ]
      ) {
        expect(help.out).toContain(`\n  ${command} `)
      }
      expect(help.out).toContain("Exit codes: 0 done, 1 failed, 2 called wrongly, 3 migrations pending or invalid")
      expect(Math.max(...help.out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100)
      const migrate = yield* start(["migrate", "--help"])
      expect(migrate.code).toBe(0)
      expect(migrate.out).toContain("--lock-timeout")

      expect(migrate.out).not.toMatch(/\u001b/)
      const { version } = JSON.parse(fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
      expect(yield* dblive(["--version"])).toMatchObject({ code: 0, out: `${version}\n` })
      for (const shellName of ["bash", "zsh", "fish"]) {
        const completions = yield* dblive(["--completions", shellName])
        expect(completions.code).toBe(0)
        expect(completions.out).toContain("migrate")
      }
    }), 60_000)

  it.scopedLive("2: called wrongly", () =>
    Effect.gen(function*() {
      const { dblive, start } = yield* shell
      expect((yield* start(["query", ...sqlite])).code).toBe(2)
      for (
        const args of [[], ["migrat"], ["migrate", "--nonsense"], ["migrate", "--lock-wait", "soon"], [
          "status",
          "--env",
          "moon"
        ]]
      ) {
        expect((yield* dblive(args)).code, args.join(" ")).toBe(2)
      }
    }), 60_000)

  it.scopedLive("from a new file to an applied one, and back", () =>
    Effect.gen(function*() {
      const { dblive, folder, write } = yield* shell
      const created = yield* dblive(["new", "Create users", "--undo"])
      expect(created).toMatchObject({
        code: 0,
        out: "migrations/default/V001__Create_users.sql\nmigrations/default/U001__Create_users.sql\n"
      })
      expect(fs.readFileSync(path.join(folder, "migrations/default/V001__Create_users.sql"), "utf8")).toMatch(
        /^-- Create users\n/
      )
      write("migrations/default/.template.sql", "-- ${version} ${description}\n")
      expect((yield* dblive(["new", "Add email", "--json"])).out).toContain("V002__Add_email.sql")
      expect(fs.readFileSync(path.join(folder, "migrations/default/V002__Add_email.sql"), "utf8")).toBe(
        "-- 002 Add email\n"
      )
      expect((yield* dblive(["new", "../out"])).code).toBe(3)
      write("migrations/default/V001__Create_users.sql", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n")
      write("migrations/default/U001__Create_users.sql", "DROP TABLE users;")
      write("migrations/default/V002__Add_email.sql", "ALTER TABLE users ADD COLUMN ${column} TEXT;")
      write("migrations/default/U002__Add_email.sql", "ALTER TABLE users DROP COLUMN email;")
      const placeholder = ["--placeholder", "column=email"]

      const before = yield* dblive(["status", ...sqlite])
      expect(before.code).toBe(3)
      expect(before.out).toContain("default: no version yet, 2 migrations pending")
      expect((yield* dblive(["validate", ...sqlite])).code).toBe(3)
      const plan = yield* dblive(["plan", ...sqlite, ...placeholder])
      expect(plan).toMatchObject({
        code: 0,
        out: "-- V001__Create_users.sql\nCREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n\n" +
          "-- V002__Add_email.sql\nALTER TABLE users ADD COLUMN email TEXT;\n"
      })
      const migrate = yield* dblive(["migrate", ...sqlite, ...placeholder])
      expect(migrate.code).toBe(0)
      expect(migrate.out).toMatch(/^applied 2 migrations in .+: version 002\n$/)
      expect(migrate.err).toMatch(/1\/2 V001__Create_users.sql done in/)
      expect(yield* dblive(["migrate", ...sqlite, ...placeholder])).toMatchObject({
        code: 0,
        out: "nothing to do: version 002\n",
        err: "default: sqlite:test.db\n"
      })
      const status = yield* dblive(["status", ...sqlite])
      expect(status.code).toBe(0)
      expect(status.out).toMatch(/^002 +Add email +success /m)
      expect(JSON.parse((yield* dblive(["validate", ...sqlite, "--json"])).out)).toEqual({ ok: true, current: "002" })

      const unanswered = yield* dblive(["undo", ...sqlite])
      expect(unanswered.code).toBe(2)
      expect(unanswered.err).toContain("add --yes")
      const undone = yield* dblive(["undo", ...sqlite, "--yes", "--target", "1", "--json"])
      expect(undone.code).toBe(0)
      expect(JSON.parse(undone.out)).toMatchObject({ ok: true, applied: [{ version: "002" }, { version: "001" }] })
    }), 120_000)

  it.scopedLive(
    "1: a migration that fails is told with its place; 3: an edited one, which repair mends",
    () =>
      Effect.gen(function*() {
        const { dblive, start, write } = yield* shell
        write("sql/V1__a.sql", "CREATE TABLE a (x INTEGER);")
        write("sql/V2__b.sql", "INSERT INTO a VALUES (1);\n  INSERT INTO b VALUES (1);")
        const options = [...sqlite, "--migrations", "sql"]
        const failed = yield* start(["migrate", ...options])
        expect(failed.code).toBe(1)
        expect(failed.err).toContain("V2__b.sql:2:3: the statement failed; the migration was rolled back")
        expect(failed.err).toContain("> 2 |   INSERT INTO b VALUES (1);")
        expect(failed.err).toContain("applied in this run: V1__a.sql")
        const json = yield* dblive(["migrate", ...options, "--json"])
        expect(json).toMatchObject({ code: 1, err: "default: sqlite:test.db\n" })
        expect(JSON.parse(json.out)).toMatchObject({
          ok: false,
          error: { _tag: "MigrationError", reason: "Failed", line: 2, column: 3 }
        })
        write("sql/V2__b.sql", "INSERT INTO a VALUES (1);")
        expect((yield* dblive(["migrate", ...options])).code).toBe(0)

        write("sql/V1__a.sql", "CREATE TABLE a (x BIGINT);")
        for (const command of ["migrate", "validate", "status", "plan"]) {
          expect((yield* dblive([command, ...options])).code, command).toBe(3)
        }
        expect((yield* start(["validate", ...options])).code).toBe(3)
        expect((yield* dblive(["repair", ...options])).code).toBe(2)
        const repaired = yield* dblive(["repair", ...options, "--yes"])
        expect(repaired.code).toBe(0)
        expect(repaired.out).toMatch(/^set V1__a.sql to checksum -?\d+ \(was -?\d+\)\n$/)
        expect(yield* dblive(["repair", ...options])).toMatchObject({ code: 0, out: "nothing to repair\n" })
        expect((yield* dblive(["validate", ...options])).code).toBe(0)
        expect((yield* dblive(["migrate", ...sqlite, "--migrations", "nowhere"])).code).toBe(3)
      }),
    120_000
  )

  it.scopedLive("baseline, and named databases by their variables", () =>
    Effect.gen(function*() {
      const { dblive, folder, write } = yield* shell
      write("migrations/SurveyHub/V1__a.sql", "nonsense")
      write("migrations/SurveyHub/V2__b.sql", "CREATE TABLE b (x INTEGER)")
      write(".env", "SURVEY_HUB_DATABASE_URL=sqlite:///hub.db\n")
      expect(yield* dblive(["baseline", "1", "--database", "SurveyHub"])).toMatchObject({
        code: 0,
        out: "the history of SurveyHub begins at version 1; migrations up to it will not run\n"
      })
      expect((yield* dblive(["migrate", "-d", "SurveyHub"])).code).toBe(0)
      expect(fs.existsSync(path.join(folder, "hub.db"))).toBe(true)
      expect((yield* dblive(["baseline", "1", "--database", "SurveyHub"])).code).toBe(1)
      const health = JSON.parse((yield* dblive(["health", "-d", "SurveyHub", "--json"])).out)
      expect(health).toMatchObject({
        ok: true,
        status: "healthy",
        database_name: "SurveyHub",
        migration_status: "up_to_date"
      })
      expect((yield* dblive(["info", "-d", "SurveyHub"])).out).toMatch(/^type +sqlite$/m)
      // In production nothing is guessed.
      const production = yield* dblive(["info", "--env", "production"])
      expect(production.code).toBe(1)
      expect(production.err).toMatch(/^DATABASE_URL: the database "default" is not configured/m)
    }), 120_000)

  it.scopedLive(
    "the first line is the address; what nothing configures is refused, and makes no file",
    () =>
      Effect.gen(function*() {
        const { dblive, folder, start, write } = yield* shell
        write("migrations/default/V1__a.sql", "CREATE TABLE a (x INTEGER);")
        const files = () => fs.readdirSync(folder).filter((name) => name.endsWith(".db"))
        const reporting = { env: { REPORTING_DATABASE_URL: "sqlite:///reports.db" } }
        const nope = yield* start(["migrate", "-d", "Nope"], reporting)
        expect(nope).toMatchObject({ code: 2, out: "" })
        expect(nope.err).toContain("nothing configures the database \"Nope\"; configured are reporting\n")
        expect(nope.err).toContain("set NOPE_DATABASE_URL, give --url, or --create")
        for (const command of ["migrate", "status", "plan", "validate", "baseline", "health", "info", "ping"]) {
          const near = yield* dblive([command, "-d", "Reportng"], reporting)
          expect(near.code, command).toBe(2)
          expect(near.err).toContain("nothing configures the database \"Reportng\"; is \"reporting\" meant?")
        }
        // Its name in a variable, misspelt.
        const rep = yield* dblive(["ping", "-d", "Rep"], { env: { REPP_DATABASE_URL: "sqlite:///r.db" } })
        expect(rep.code).toBe(2)
        expect(rep.err).toContain("the variable REPP_DATABASE_URL is not known; is REP_DATABASE_URL meant?")
        const typo = yield* dblive(["migrate"], { env: { DATABSE_URL: "postgres://app:hunter2@localhost/shop" } })
        expect(typo).toMatchObject({ code: 2, out: "" })
        expect(typo.err).toContain("the variable DATABSE_URL is not known; is DATABASE_URL meant?")
        expect(typo.err).not.toContain("hunter2")
        expect(files()).toEqual([])

        // The address alone is on standard error, and JSON alone on standard output.
        const json = yield* dblive(["ping", "-d", "Nope", "--create", "--json"])
        expect(json).toMatchObject({ code: 0, err: "Nope: sqlite:Nope.db\n" })
        expect(JSON.parse(json.out)).toMatchObject({ ok: true })
        const failed = yield* dblive(["ping", "-d", "Missing", "--json"])
        expect(JSON.parse(failed.out)).toMatchObject({ ok: false, error: { _tag: "UsageError" } })
        // Where something configures it, a typo beside it is told and does not matter.
        const beside = yield* dblive(["ping"], { env: { DATABASE_URL: "sqlite:///d.db", DATABASE_POOLSIZE: "3" } })
        expect(beside).toMatchObject({
          code: 0,
          err:
            "default: sqlite:d.db\nwarning: the variable DATABASE_POOLSIZE is not known; is DATABASE_POOL_SIZE meant?\n"
        })
        expect((yield* dblive(["query", "--url", "postgres://app:hunter2@127.0.0.1:1/shop", "SELECT 1"])).err)
          .toMatch(/^default: postgresql:\/\/app@127\.0\.0\.1:1\/shop\n/)
        expect((yield* dblive(["ping"])).err).toBe("default: sqlite:dblive.db\n")
        expect(files().sort()).toEqual(["Nope.db", "d.db", "dblive.db"])
      }),
    120_000
  )

  it.scopedLive("query: a table, JSON, CSV", () =>
    Effect.gen(function*() {
      const { dblive, start } = yield* shell
      const rows =
        "SELECT 1 AS id, 'a,\"b\"' AS name, NULL AS nil, '' AS empty UNION ALL SELECT 22, 'ü' || char(10), 'x', 'y'"
      expect(yield* dblive(["query", ...sqlite, rows])).toMatchObject({
        code: 0,
        out: "id  name   nil  empty\n--  -----  ---  -----\n1   a,\"b\"\n22  ü\\n    x    y\n(2 rows)\n"
      })
      expect((yield* dblive(["query", ...sqlite, rows, "--format", "csv"])).out)
        .toBe("id,name,nil,empty\r\n1,\"a,\"\"b\"\"\",,\"\"\r\n22,\"ü\n\",x,y\n")
      expect(JSON.parse((yield* dblive(["query", ...sqlite, rows, "-f", "json"])).out)).toEqual([
        { id: 1, name: "a,\"b\"", nil: null, empty: "" },
        { id: 22, name: "ü\n", nil: "x", empty: "y" }
      ])
      expect((yield* start(["query", ...sqlite, "--param", "who=Ada"], { input: "SELECT :who AS who" })).out)
        .toContain("Ada")
      expect((yield* dblive(["query", ...sqlite, "CREATE TABLE t (x)"])).out).toBe("no rows\n")
      const written = [
        ["INSERT INTO t VALUES (1), (2)", "2 rows affected, last insert id 2\n"],
        ["UPDATE t SET x = 3 WHERE x = 1", "1 row affected\n"],
        ["DELETE FROM t WHERE x = 9", "no rows\n"]
      ]
      for (const [statement, out] of written) {
        expect((yield* dblive(["query", ...sqlite, statement!])).out).toBe(out)
      }
      const wrong = yield* dblive(["query", ...sqlite, "SELEKT"])
      expect(wrong.code).toBe(1)
      expect(wrong.err).toContain("syntax error")
    }), 120_000)

  it.scopedLive("ping: one try, or until the wait is over", () =>
    Effect.gen(function*() {
      const { dblive } = yield* shell
      expect((yield* dblive(["ping", ...sqlite])).code).toBe(0)
      const noServer = ["--url", "postgres://app@127.0.0.1:1/shop"]
      const once = yield* dblive(["ping", ...noServer])
      expect(once.code).toBe(1)
      expect(once.err).toContain("Refused")
      const waited = yield* dblive(["ping", ...noServer, "--wait", "500ms", "--json"])
      expect(waited.code).toBe(1)
      expect(JSON.parse(waited.out)).toMatchObject({ ok: false, error: { reason: "Refused" } })
    }), 60_000)
})

describe("an interrupt of dblive migrate on SQLite", () => {
  for (const [name, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    it.scopedLive(
      `${name}: what runs is rolled back, nothing more is run, and it exits with ${code}`,
      () =>
        Effect.gen(function*() {
          const { start, write } = yield* shell
          const slow = "INSERT INTO b WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 500000) " +
            "SELECT max(x) FROM n;\n"
          write("migrations/default/V1__a.sql", "CREATE TABLE a (x int);")
          write("migrations/default/V2__b.sql", `CREATE TABLE b (x int);\n${slow.repeat(200)}`)
          write("migrations/default/V3__c.sql", "CREATE TABLE c (x int);")
          const env = { DATABASE_URL: "sqlite:./app.db" }
          const stopped = yield* start(["migrate", "--create"], { env, signal: { after: /V2__b\.sql \.\.\.\n/, name } })
          expect(stopped.err).toContain("\ninterrupted: V2__b.sql was rolled back; applied before it: V1__a.sql\n")
          expect(stopped).toMatchObject({ code, out: "" })
          const tables = yield* start([
            "query",
            "SELECT name FROM sqlite_master WHERE name IN ('a', 'b', 'c')",
            "-f",
            "json"
          ], {
            env
          })
          expect(JSON.parse(tables.out)).toEqual([{ name: "a" }])
        }),
      60_000
    )
  }
})

describePostgres("dblive on PostgreSQL", () => {
  for (const [name, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    it.scopedLive(`${name} says what it undid, and exits with ${code}`, () =>
      Effect.gen(function*() {
        const { start, write } = yield* shell
        const { url } = yield* freshDatabase
        write("migrations/default/V1__a.sql", "CREATE TABLE a (x int);")
        write("migrations/default/V2__b.sql", "CREATE TABLE b (x int);\nSELECT pg_sleep(60);")
        const env = { DATABASE_URL: url }
        const signal = { after: /V2__b\.sql \.\.\.\n/, name }
        const stopped = yield* start(["migrate"], { env, signal })
        expect(stopped.err).toContain("\ninterrupted: V2__b.sql was rolled back; applied before it: V1__a.sql\n")
        expect(stopped).toMatchObject({ code, out: "" })
        const after = yield* start(["query", "SELECT to_regclass('a') AS a, to_regclass('b') AS b", "-f", "json"], {
          env
        })
        expect(JSON.parse(after.out)).toEqual([{ a: "a", b: null }])
        write(
          "migrations/default/V2__b.sql",
          "-- dblive: no-transaction\nCREATE TABLE b (x int);\nSELECT pg_sleep(60);"
        )
        const without = yield* start(["migrate", "--json"], { env, signal: { after: /default: postgresql/, name } })
        // It may have come before the migration.
        expect(without.code).toBe(code)
        expect(JSON.parse(without.out)).toMatchObject({ ok: false, error: { _tag: "Interrupted" } })
      }), 60_000)
  }

  it.scopedLive("the password comes from the environment or a file, and is never shown", () =>
    Effect.gen(function*() {
      const { folder, start: dblive, write } = yield* shell
      const { host, name, password, port, user } = yield* freshDatabase
      const url = `postgres://${user}@${host}:${port}/${name}`
      const outputs: Array<string> = []
      const call = (args: ReadonlyArray<string>, env?: Record<string, string>) =>
        Effect.tap(dblive(args, { env: env ?? {} }), ({ err, out }) => Effect.sync(() => outputs.push(out + err)))
      expect((yield* call(["ping", "--url", url], { DATABASE_PASSWORD: password })).code).toBe(0)
      write("secret", `${password}\n`)
      expect((yield* call(["ping", "--url", url, "--password-file", path.join(folder, "secret")])).code).toBe(0)
      expect((yield* call(["info", "--url", url], { DATABASE_PASSWORD_FILE: path.join(folder, "secret") })).code).toBe(
        0
      )
      write("migrations/default/V1__a.sql", "CREATE TABLE a (x int);\nSELECT 1/0;")
      expect((yield* call(["migrate", "--url", url, "--log-level", "debug"], { DATABASE_PASSWORD: password })).code)
        .toBe(1)
      const shown = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${name}`
      const warned = yield* call(["status", "--url", shown, "--json"])
      expect(warned.err).toContain("warning: every user of this machine can see the password in --url")
      const wrong = yield* call(["ping", "--url", url, "--wait", "10s"], { DATABASE_PASSWORD: "not the password" })
      expect(outputs.join("\n")).not.toContain(password)
      expect(outputs.join("\n")).not.toContain("not the password")
      // A server with `trust` authentication does not look at passwords.
      expect([0, 1]).toContain(wrong.code)
    }), 120_000)
})
