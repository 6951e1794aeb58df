/** The page of errors says what the tables of codes say, each code of each database. */
import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { page } from "../../scripts/errors.js"

it("docs/errors.md is what the code says (npm run docs:errors)", () => {
  const written = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8")
  expect(page).toBe(written.replaceAll("\r\n", "\n"))
})
