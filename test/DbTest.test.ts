/** The tests of the example run with those of the repository. */
import { expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import "../examples/testing/flaky.test.js"
import "../examples/testing/mock.test.js"
import "../examples/testing/pglite.test.js"
import "../examples/testing/queries.test.js"
import "../examples/testing/rollback.test.js"
import "../examples/testing/sqlite.test.js"
import { describePostgres } from "./kit/postgres.js"

// The only one that needs a server.
describePostgres("examples/testing", async () => {
  await import("../examples/testing/postgres.test.js")
})

it("docs/testing.md shows what runs", () => {
  const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), "utf8")
  const blocks = [...read("docs/testing.md").matchAll(/<!-- file: (\S+) -->\n```ts\n([\s\S]*?)```/g)]
  expect(blocks.length).toBeGreaterThan(5)
  for (const [, file, code] of blocks) {
    expect(read(file!)).toContain(code!)
  }
})
