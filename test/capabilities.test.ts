import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { page } from "../scripts/capabilities.js"

it("docs/capabilities.md is what the drivers say (npm run docs:capabilities)", () => {
  assert.strictEqual(readFileSync(new URL("../docs/capabilities.md", import.meta.url), "utf8"), page)
})
