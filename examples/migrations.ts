/**
 * Migrations when the program starts: SQL files of `migrations/default`, then an Effect of its own history.
 *
 *     npx tsx examples/migrations.ts
 *
 * Without DATABASE_URL it works on `migrations.db`, beside the files of the other examples.
 */
// #region imports
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { ConfigProvider, Console, Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import { Db, DbLive, DbMigrator } from "../src/index.js"
// #endregion

// #region layer
const folder = fileURLToPath(new URL("../migrations/default", import.meta.url))

/** The program's database: open, and at the newest version. Ten instances may start at once. */
const AppDb = DbMigrator.layer(Db, { migrations: DbMigrator.fromDirectory(folder) }).pipe(
  Layer.provideMerge(DbLive),
  Layer.provide(NodeContext.layer)
)
// #endregion

/** SQL cannot do everything: an Effect per version, in the same transaction as its row. */
const words = DbMigrator.fromRecord({
  V1__Add_words: "ALTER TABLE note ADD COLUMN words INTEGER",
  V2__Count_words: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const notes = yield* sql<{ body: string }>`SELECT body FROM note`
    yield* Effect.forEach(
      notes,
      ({ body }) => sql`UPDATE note SET words = ${body.split(" ").length} WHERE body = ${body}`
    )
  })
})

const program = Effect.gen(function*() {
  yield* Db.query("INSERT INTO note (body, author) VALUES ('it works', 'Ada')")

  const options = { migrations: words, table: "words_version" }
  const { applied, current } = yield* DbMigrator.run(Db, options)
  yield* Console.log(`applied ${applied.map(({ script }) => script).join(", ")}: version ${current}`)
  const [note] = yield* Db.query<{ body: string; words: number }>("SELECT body, words FROM note")
  yield* Console.log(`"${note?.body}" has ${note?.words} words`)

  const again = yield* DbMigrator.run(Db, options)
  yield* Console.log(`a second run applies ${again.applied.length}`)

  // What is applied is never edited: the history notices.
  const edited = DbMigrator.fromRecord({
    V1__Add_words: "ALTER TABLE note ADD COLUMN words BIGINT",
    V2__Count_words: Effect.void
  })
  const refused = yield* Effect.flip(DbMigrator.run(Db, { ...options, migrations: edited }))
  yield* Console.log(`${refused._tag} ${refused.reason}: ${refused.message}`)
})

/** A file of its own: the histories of two programs do not go into one database. */
const ownFile = Layer.setConfigProvider(
  ConfigProvider.orElse(
    ConfigProvider.fromEnv(),
    () => ConfigProvider.fromMap(new Map([["DATABASE_URL", "sqlite:///migrations.db"]]))
  )
)

program.pipe(Effect.provide(AppDb.pipe(Layer.provide(ownFile))), NodeRuntime.runMain)
