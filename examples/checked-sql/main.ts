/**
 * A program of statements that `dblive check` has compared with the schema.
 *
 *     npx tsx examples/checked-sql/main.ts
 */
import { Console, Effect, Option } from "effect"
import { fileURLToPath } from "node:url"
import { Db, DbMigrator } from "../../src/index.js"
// #region use
import { activity, addPost, addUser, findUser } from "./queries.js"

export const program = Effect.gen(function*() {
  yield* addUser({ name: "Ada", email: "ada@example.org" })
  const ada = yield* findUser({ email: "ada@example.org" })
  if (Option.isSome(ada)) {
    const { id } = yield* addPost({ userId: ada.value.id, title: "Notes" })
    yield* Console.log(`post ${id} of ${ada.value.name}`)
  }
  for (const { last, name, posts } of yield* activity()) {
    yield* Console.log(`${name}: ${posts}, last ${last ?? "none"}`)
  }
})
// #endregion

/** The migrations of this folder. */
export const migrations = DbMigrator.fromDirectory(fileURLToPath(new URL("./migrations/default", import.meta.url)))

/** An empty database in memory. */
export const memory = Db.layer({ url: "sqlite://:memory:" })
