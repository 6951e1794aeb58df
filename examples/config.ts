/**
 * Where settings come from, and what a wrong one says.
 *
 *     npx tsx examples/config.ts
 */
import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, ConfigProvider, Console, Effect, Layer } from "effect"
import { Db, DbConfig, DbLive } from "../src/index.js"

/** Variables as the process would have them, for the effect alone. */
const withVariables = (variables: Record<string, string>) =>
  Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))

const describe = Effect.gen(function*() {
  const { access, type, uri } = yield* Db.info
  const { capacity } = yield* Db.pool
  return `${type}, ${access}, up to ${capacity} connections, ${uri}`
})

const program = Effect.gen(function*() {
  const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const fs = yield* FileSystem.FileSystem

  // 1. By `.env` files: `.env.{environment}` wins over `.env`, and the process's own variables win over both.
  yield* fs.writeFileString(`${folder}/.env`, `DATABASE_URL=sqlite:///${folder}/app.db\nDATABASE_POOL_SIZE=2\n`)
  yield* fs.writeFileString(`${folder}/.env.production`, "DATABASE_MAX_OVERFLOW=3\n")
  const fromFiles = yield* describe.pipe(
    Effect.provide(Layer.provide(Layer.fresh(DbLive), DbConfig.dotenv(folder))),
    withVariables({ APP_ENV: "production", DATABASE_POOL_SIZE: "4" })
  )
  yield* Console.log("from files:", fromFiles.replace(folder, "..."))

  // 2. In code: options, and Config where a part of them comes from elsewhere.
  const inCode = Db.layerConfig({
    url: Config.redacted("REPORTS_URL"),
    access: Config.succeed("read-only" as const)
  })
  const readOnly = Effect.gen(function*() {
    const refused = yield* Effect.flip(Db.query("CREATE TABLE note (body VARCHAR(100))"))
    return `${yield* describe}; a write: ${refused.reason}`
  })
  const fromCode = yield* readOnly.pipe(
    Effect.provide(inCode),
    withVariables({ APP_ENV: "production", REPORTS_URL: `sqlite:///${folder}/app.db` })
  )
  yield* Console.log("from code:", fromCode.replace(folder, "..."))

  // 3. Wrong ones are told all at once, by their variables; a password is never repeated.
  const wrong = yield* Effect.flip(DbConfig.fromEnv("default")).pipe(withVariables({
    APP_ENV: "production",
    DATABASE_URL: "postgresql://app:secret@db.example.org:54321x/app",
    DATABASE_POOL_SIZE: "many",
    DATABASE_SSL: "perhaps",
    DATABASE_ACQUIRE_TIMEOUT: "10"
  }))
  yield* Console.log(`wrong:\n${wrong}`)

  // 4. In production no configuration is an error, which shows the ways to configure.
  const missing = yield* Effect.flip(DbConfig.fromEnv("default")).pipe(withVariables({ APP_ENV: "production" }))
  yield* Console.log(`none:\n${missing}`)

  // 5. A variable that is not read, but looks like one that is: a warning in the log.
  yield* DbConfig.fromEnv("default").pipe(
    withVariables({ DATABASE_URL: "sqlite://:memory:", DATABASE_POOLSIZE: "3" })
  )
})

program.pipe(Effect.scoped, Effect.provide(NodeContext.layer), NodeRuntime.runMain)
