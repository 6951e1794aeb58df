import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { page } from "../scripts/settings.js"

it("docs/settings.md is what the code says (npm run docs:settings)", () => {
  assert.strictEqual(readFileSync(new URL("../docs/settings.md", import.meta.url), "utf8"), page)
})
