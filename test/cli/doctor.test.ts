import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { clockWarning } from "../../src/internal/cli/diagnosis.js"
import { isInRange } from "../../src/internal/cli/package.js"
import { describeMysql, freshMysqlDatabase } from "../kit/mysql.js"
import { describePgBouncer, pgBouncer } from "../kit/pgbouncer.js"
import { describePostgres, describePrivatePostgres, freshDatabase, query } from "../kit/postgres.js"
import { cluster } from "../replicas/kit.js"
import { type Ended, shell } from "./shell.js"

interface Found {
  readonly ok: boolean
  readonly problems: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
  readonly databases: ReadonlyArray<{
    readonly name: string
    readonly settings: ReadonlyArray<
      {
        readonly option: string
        readonly value: string
        readonly from: string
        readonly variable?: string
        readonly file?: string
      }
    >
    readonly server: {
      readonly version: string
      readonly clockMillis: number | null
      readonly maxConnections: number | null
      readonly pooler: boolean
    } | null
    readonly replicas: ReadonlyArray<{ readonly lagSeconds: number | null }>
  }>
  readonly connections: ReadonlyArray<
    { readonly databases: ReadonlyArray<string>; readonly needed: number; readonly most: number | null }
  >
}

const found = ({ out }: Ended): Found => JSON.parse(out) as Found

describe("dblive doctor", () => {
  it.scopedLive(
    "tells where each setting came from: default, URL, variable, file; and no secret",
    () =>
      Effect.gen(function*() {
        const { dblive, folder, write } = yield* shell
        write(
          ".env",
          "SURVEY_HUB_DATABASE_URL=sqlite:///hub.db?busy_timeout=5\nDATABASE_POOL_SIZE=4\nDATABASE_PASSWORD=hunter2\n"
        )
        write(".env.test", "DATABASE_POOL_OVERFLOW=7\n")
        const env = { DATABASE_URL: "sqlite:///app.db", APP_ENV: "test", DATABASE_LOCK_TIMEOUT: "3s" }
        const json = yield* dblive(["doctor", "--json"], { env })
        expect(json).toMatchObject({ code: 0, err: "" })
        expect(json.out).not.toContain("hunter2")
        const { databases, problems } = found(json)
        expect(problems).toEqual([])
        expect(databases.map(({ name }) => name)).toEqual(["default", "survey_hub"])
        expect(databases[0]!.server).toMatchObject({
          version: expect.stringMatching(/^3\./),
          clockMillis: null,
          pooler: false
        })
        const settings = new Map(databases[0]!.settings.map(({ option, ...rest }) => [option, rest]))
        expect(settings.get("url")).toEqual({ value: "(not shown)", from: "variable", variable: "DATABASE_URL" })
        expect(settings.get("filename")).toEqual({ value: "app.db", from: "URL", variable: "DATABASE_URL" })
        expect(settings.get("pool.size")).toEqual({
          value: "4",
          from: "variable",
          variable: "DATABASE_POOL_SIZE",
          file: ".env"
        })
        expect(settings.get("pool.overflow")).toEqual({
          value: "7",
          from: "variable",
          variable: "DATABASE_POOL_OVERFLOW",
          file: ".env.test"
        })
        expect(settings.get("limits.lockTimeout")).toEqual({
          value: "3 s",
          from: "variable",
          variable: "DATABASE_LOCK_TIMEOUT"
        })
        expect(settings.get("environment")).toEqual({ value: "test", from: "variable", variable: "APP_ENV" })
        expect(settings.get("pool.maxLifetime")).toEqual({ value: "1 h", from: "default" })
        expect(settings.get("settings")).toMatchObject({ from: "default" })

        const text = yield* dblive(["doctor"], { env })
        expect(text.out).toMatch(/^Versions\n {2}node \d+/)
        expect(text.out).toMatch(/^ {2}pool\.size +4 +DATABASE_POOL_SIZE \(\.env\)$/m)
        expect(text.out).toMatch(/^ {2}filename +app\.db +URL in DATABASE_URL$/m)
        expect(text.out).toMatch(/and \d+ defaults \(--all shows them\)/)
        expect(text.out).toMatch(/no problems were found\n$/)
        const one = found(yield* dblive(["doctor", "-d", "surveyhub", "--json"], { env }))
        expect(one.databases.map(({ name }) => name)).toEqual(["survey_hub"])
        expect(found(yield* dblive(["doctor", "--url", "sqlite:///x.db", "--json"])).databases[0]!.settings[0]).toEqual(
          {
            option: "url",
            value: "(not shown)",
            from: "option"
          }
        )
        expect(fs.readdirSync(folder).filter((name) => name.endsWith(".db")).sort()).toEqual([
          "app.db",
          "hub.db",
          "x.db"
        ])
      }),
    60_000
  )

  it.scopedLive(
    "1: everything that would be refused is told at once; what nothing configures is no problem, and makes no file",
    () =>
      Effect.gen(function*() {
        const { dblive, folder } = yield* shell
        const wrong = yield* dblive(["doctor", "--json"], {
          env: {
            DATABASE_URL: "postgres://app@127.0.0.1:1/x",
            DATABASE_POOL_SIZE: "many",
            DATABASE_LOCK_TIMEOUT: "soon",
            DATABASE_POOLSIZE: "3"
          }
        })
        expect(wrong.code).toBe(1)
        expect(found(wrong).problems).toEqual([
          expect.stringMatching(/^default: DATABASE_POOL_SIZE: holds "many"; accepted: /),
          expect.stringMatching(/^default: DATABASE_LOCK_TIMEOUT: holds "soon"; accepted: /)
        ])
        expect(found(wrong).warnings).toEqual([
          "default: the variable DATABASE_POOLSIZE is not known; is DATABASE_POOL_SIZE meant?"
        ])
        const none = yield* dblive(["doctor"])
        expect(none.code).toBe(0)
        expect(none.out).toContain("warning: default: nothing configures it, so it is a file of this folder")
        const production = yield* dblive(["doctor", "--env", "production"])
        expect(production.code).toBe(1)
        expect(production.out).toContain("problem: default: DATABASE_URL: the database \"default\" is not configured")
        const silent = yield* dblive(["doctor", "--url", "sqlite:////dev/null/x.db"])
        expect(silent.code).toBe(1)
        expect(silent.out).toMatch(/^problem: default: .*CannotOpen/m)
        expect(fs.readdirSync(folder)).toEqual([])
      }),
    60_000
  )

  it("a difference of the clocks is told from a second on, without what the answer's own time may explain", () => {
    expect(clockWarning({ clockMillis: null, clockErrorMillis: null })).toEqual([])
    expect(clockWarning({ clockMillis: 999, clockErrorMillis: 0 })).toEqual([])
    expect(clockWarning({ clockMillis: -1_200, clockErrorMillis: 300 })).toEqual([])
    expect(clockWarning({ clockMillis: 1_500, clockErrorMillis: 10 })[0]).toMatch(
      /^the server's clock is 1500 ms ahead of/
    )
    expect(clockWarning({ clockMillis: -1_000, clockErrorMillis: 0 })[0]).toMatch(
      /^the server's clock is 1000 ms behind/
    )
  })

  it("ranges of versions", () => {
    for (
      const [version, range, isIn] of [
        ["20.20.2", ">=20", true],
        ["18.0.0", ">=20", false],
        ["0.52.1", "^0.52.0", true],
        ["0.53.0", "^0.52.0", false],
        ["3.22.4", "^3.22.0", true],
        ["3.21.9", "^3.22.0", false],
        ["4.0.0", "^3.22.0", false],
        ["13.1.0", "^12.0.0 || ^13.0.0", true],
        ["18.4.0-beta.17", "*", true]
      ] as const
    ) {
      expect(isInRange(version, range), `${version} ${range}`).toBe(isIn)
    }
  })
})

describePostgres("dblive doctor on PostgreSQL", () => {
  it.scopedLive(
    "the server, its clock, and whether it has connections for the pools of all processes",
    () =>
      Effect.gen(function*() {
        const { dblive } = yield* shell
        const { password, url } = yield* freshDatabase
        const [row] = yield* query(url, "SELECT setting::int AS most FROM pg_settings WHERE name = 'max_connections'")
        const most = Number(row!.most)
        // Two databases on one server count together.
        const env = {
          DATABASE_URL: url,
          REPORTING_DATABASE_URL: url,
          DATABASE_POOL_SIZE: "3",
          DATABASE_POOL_OVERFLOW: "2",
          REPORTING_DATABASE_POOL_SIZE: "1",
          REPORTING_DATABASE_POOL_OVERFLOW: "0"
        }
        const well = yield* dblive(["doctor", "--json"], { env })
        expect(well.code, well.out).toBe(0)
        expect(well.out).not.toContain(encodeURIComponent(password))
        expect(found(well).databases.map(({ server }) => server)).toEqual([1, 2].map(() => ({
          version: expect.stringMatching(/^\d+/),
          clockMillis: expect.any(Number),
          clockErrorMillis: expect.any(Number),
          maxConnections: expect.any(Number),
          pooler: false
        })))
        expect(Math.abs(found(well).databases[0]!.server!.clockMillis!)).toBeLessThan(1_000)
        expect(found(well).connections).toMatchObject([{ databases: ["default", "reporting"], needed: 6 }])
        // Some are kept for superusers.
        expect(found(well).connections[0]!.most).toBeLessThan(most)
        const many = yield* dblive(["doctor", "--processes", String(most)], { env })
        expect(many.code).toBe(1)
        expect(many.out).toMatch(
          new RegExp(
            `problem: .*: ${most} processes may open ${6 * most} connections \\(6 each\\), and the server has \\d+`
          )
        )
        const wrong = yield* dblive(["doctor", "--json"], { env: { DATABASE_URL: `${url}_nowhere` } })
        expect(wrong.code).toBe(1)
        expect(found(wrong).problems[0]).toMatch(/^default: .*UnknownDatabase/)
      }),
    60_000
  )
})

describePrivatePostgres("dblive doctor with replicas", () => {
  it.scopedLive(
    "whether each answers, is a standby and how far it is behind, also where the primary is down; their connections count",
    () =>
      Effect.gen(function*() {
        const { primary, standbys: [standby] } = yield* cluster(1, { recovery_min_apply_delay: "2s" })
        const { dblive } = yield* shell
        const replicas = (...urls: ReadonlyArray<string>) => ({
          DATABASE_URL: primary.url,
          DATABASE_REPLICA_URLS: urls.join(" ")
        })
        const gone = "postgres://127.0.0.1:1"
        const well = yield* dblive(["doctor", "--json"], { env: replicas(standby!.url) })
        expect(well.code, well.out).toBe(0)
        const [database] = found(well).databases
        expect(database!.replicas).toEqual([{
          name: "default/replica-1",
          address: `postgresql://postgres@127.0.0.1:${standby!.port}/postgres`,
          version: expect.stringMatching(/^\d+/),
          standby: true,
          lagSeconds: expect.any(Number),
          maxConnections: expect.any(Number),
          error: null
        }])
        expect(found(well).connections).toMatchObject([
          { databases: ["default"], needed: 15, most: expect.any(Number) },
          { databases: ["default/replica-1"], needed: 15, most: expect.any(Number) }
        ])
        expect(well.out).not.toContain(standby!.password)

        const wrong = yield* dblive(["doctor", "--json"], { env: replicas(standby!.url, primary.url, gone) })
        expect(wrong.code).toBe(1)
        expect(found(wrong).problems).toEqual([
          expect.stringMatching(/^default\/replica-2 \(postgresql:.*\) is no standby: no reads go to it/),
          expect.stringMatching(/^default\/replica-3 \(postgresql:.*:1\/.*\): .*Refused/)
        ])
        const text = yield* dblive(["doctor"], { env: replicas(standby!.url, gone) })
        expect(text.out).toMatch(/^ {2}default\/replica-1: postgresql:.*: a standby, \d+.*, \d+\.\d s behind$/m)
        expect(text.out).toMatch(/^ {2}default\/replica-2: postgresql:.*: does not answer$/m)

        // What is written is replayed 2 seconds later, so that it is so far behind while more is written.
        const look = Effect.zipRight(
          query(primary.url, "INSERT INTO counter VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = counter.n + 1"),
          dblive(["doctor", "--json"], { env: { ...replicas(standby!.url), DATABASE_REPLICA_MAX_LAG: "1s" } })
        )
        const limited = yield* Effect.repeat(look, {
          until: (ended) => (found(ended).databases[0]!.replicas[0]!.lagSeconds ?? 0) > 1
        })
        expect(limited.code).toBe(0)
        expect(found(limited).warnings).toEqual([
          expect.stringMatching(
            /^default: default\/replica-1 \(.*\) is \d+ s behind; reads go to it within 1 s \(replication\.maxLag\)$/
          )
        ])

        yield* primary.stop()
        const without = yield* dblive(["doctor", "--json"], { env: replicas(standby!.url) })
        expect(without.code).toBe(1)
        expect(found(without).problems).toEqual([expect.stringMatching(/^default: .*Refused/)])
        expect(found(without).databases[0]!.replicas).toMatchObject([{ standby: true, error: null }])
      }),
    120_000
  )
})

describeMysql("dblive doctor on MySQL or MariaDB", () => {
  it.scopedLive("the server, its clock, its connections", () =>
    Effect.gen(function*() {
      const { dblive } = yield* shell
      const { url } = yield* freshMysqlDatabase
      const well = yield* dblive(["doctor", "--json", "--processes", "2"], { env: { DATABASE_URL: url } })
      expect(well.code, well.out).toBe(0)
      const [database] = found(well).databases
      expect(Math.abs(database!.server!.clockMillis!)).toBeLessThan(1_000)
      expect(found(well).connections).toMatchObject([{
        processes: 2,
        perProcess: 15,
        needed: 30,
        most: expect.any(Number)
      }])
      expect((yield* dblive(["doctor", "--processes", "100000"], { env: { DATABASE_URL: url } })).code).toBe(1)
    }), 60_000)
})

describePgBouncer("dblive doctor through PgBouncer", () => {
  it.scopedLive("notices it", () =>
    Effect.gen(function*() {
      const { dblive } = yield* shell
      const { url } = yield* freshDatabase
      const { through } = yield* pgBouncer("transaction")
      const env = { DATABASE_URL: through(url) }
      const seen = yield* dblive(["doctor", "--json", "--processes", "1000"], {
        env: { ...env, DATABASE_PREPARE: "false" }
      })
      expect(seen.code, seen.out).toBe(0)
      expect(found(seen).databases[0]!.server).toMatchObject({ pooler: true })
      expect(found(seen).warnings[0]).toMatch(/^default: a pooler such as PgBouncer shares the server's connections/)
    }), 60_000)
})
