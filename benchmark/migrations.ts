/**
 * What migrations cost: a thousand of them checked, and a large file of data run without being held in memory.
 *
 *     npx tsx benchmark/migrations.ts [--megabytes 100] [--count 1000] [--only sqlite]
 *
 * The large file is run by a process of its own, whose memory is measured before and at its highest.
 */
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, Logger, LogLevel } from "effect"
import { fork } from "node:child_process"
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { Db } from "../src/Db.js"
import * as DbMigrator from "../src/DbMigrator.js"
import { makeServer } from "./Server.js"

const { values: options } = parseArgs({
  options: {
    megabytes: { type: "string", default: "100" },
    count: { type: "string", default: "1000" },
    only: { type: "string" },
    url: { type: "string" },
    folder: { type: "string" }
  }
})

const mega = 1024 * 1024

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const on = <A, E>(url: string, effect: Effect.Effect<A, E, Db | NodeContext.NodeContext>): Promise<A> =>
  effect.pipe(
    Effect.provide(Layer.merge(Db.layer({ url, environment: "test", pool: { leakThreshold: 0 } }), NodeContext.layer)),
    Logger.withMinimumLogLevel(LogLevel.Warning),
    Effect.runPromise
  )

const took = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** Statements of 20 rows, as `pg_dump --rows-per-insert=20` writes them. */
const writeLarge = (file: string, megabytes: number): void => {
  const out = openSync(file, "w")
  let written = writeSync(out, "CREATE TABLE large (id INTEGER PRIMARY KEY, body VARCHAR(200) NOT NULL);\n")
  for (let id = 0; written < megabytes * mega;) {
    const rows = Array.from({ length: 20 }, () => `(${id++}, '${"a row; ".repeat(11)}')`)
    written += writeSync(out, `INSERT INTO large VALUES\n${rows.join(",\n")};\n`)
  }
  closeSync(out)
}

/** In a process of its own: runs a folder and tells its memory. */
const child = async (url: string, folder: string): Promise<void> => {
  const before = process.memoryUsage.rss()
  const millis = await took(() => on(url, DbMigrator.run(Db, { migrations: DbMigrator.fromDirectory(folder) })))
  // `maxRSS` is in kilobytes.
  process.send!({ before, peak: process.resourceUsage().maxRSS * 1024, millis })
}

interface Cost {
  readonly before: number
  readonly peak: number
  readonly millis: number
}

const inChild = (url: string, folder: string): Promise<Cost> =>
  new Promise((resolve, reject) => {
    const process = fork(fileURLToPath(import.meta.url), ["--url", url, "--folder", folder])
    process.once("message", (cost) => resolve(cost as Cost))
    process.once("exit", (code) => reject(new Error(`the process ended with ${code}`)))
  })

const measure = async (name: string, fresh: () => Promise<string> | string, root: string): Promise<void> => {
  const many = join(root, "many")
  const url = await fresh()
  const migrations = DbMigrator.fromDirectory(many)
  const applied = await took(() => on(url, DbMigrator.run(Db, { migrations })))
  const checks: Array<number> = []
  const check = Effect.sync(() => performance.now()).pipe(
    Effect.flatMap((began) =>
      Effect.map(DbMigrator.validate(Db, { migrations }), () => checks.push(performance.now() - began))
    )
  )
  await on(url, Effect.repeatN(check, 4))
  checks.sort((a, b) => a - b)
  say(`${name}: ${options.count} migrations applied in ${Math.round(applied)} ms, checked in ${Math.round(checks[2]!)} ms`)
  const { before, millis, peak } = await inChild(await fresh(), join(root, "large"))
  say(
    `${name}: ${options.megabytes} MB of data run in ${(millis / 1000).toFixed(1)} s, ` +
      `memory ${Math.round(before / mega)} MB before, ${Math.round(peak / mega)} MB at its highest`
  )
}

const main = async (): Promise<void> => {
  const root = mkdtempSync(join(tmpdir(), "dblive-benchmark-"))
  try {
    mkdirSync(join(root, "many"))
    mkdirSync(join(root, "large"))
    for (let i = 1; i <= Number(options.count); i++) {
      writeFileSync(join(root, "many", `V${i}__Step_${i}.sql`), `-- step\nCREATE TABLE t${i} (x INTEGER);\n`)
    }
    writeLarge(join(root, "large", "V1__Large.sql"), Number(options.megabytes))
    let files = 0
    if (options.only !== "pg") {
      await measure("SQLite", () => `sqlite:///${join(root, `${++files}.db`)}`, root)
    }
    if (options.only !== "sqlite") {
      const server = await makeServer()
      try {
        let databases = 0
        const fresh = async () => {
          const name = `migrations_${++databases}`
          await server.query(`DROP DATABASE IF EXISTS ${name}`)
          await server.query(`CREATE DATABASE ${name}`)
          return server.url.replace(/\/[^/?]*(?=\?|$)/, `/${name}`)
        }
        await measure("PostgreSQL", fresh, root)
      } finally {
        await server.close()
      }
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

if (options.url !== undefined && options.folder !== undefined) {
  await child(options.url, options.folder)
} else {
  await main()
}
