import { defineConfig } from "vitest/config";

// A test of a component asks for a document by `// @vitest-environment happy-dom` in its first line; the others start
// faster without. The page in a real browser is tested by tests/web of the repository.
export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  test: { include: ["tests/**/*.test.{ts,tsx}"], pool: "threads", maxWorkers: 1, isolate: false },
});
