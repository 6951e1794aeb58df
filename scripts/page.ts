/**
 * Puts the status page as texts into a built package, whose programs have no files beside them: tsx scripts/page.ts [dist]
 */
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { argv } from "node:process"
import { parts } from "../src/internal/http/page/parts.js"

const module = join(argv[2] ?? "dist", "internal/http/page/parts.js")
writeFileSync(module, `const made = ${JSON.stringify(parts())}\nexport const parts = () => made\n`)
rmSync(`${module}.map`, { force: true })
