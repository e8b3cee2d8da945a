#include "store/pg_pipeline.h"

#include <algorithm>
#include <string_view>

#include "base/check.h"

namespace postback::store {

void PgPipeline::begin(bool is_pooled) {
  is_pooled_ = is_pooled;
  is_sending_ = false;
  is_answering_ = false;
}

void PgPipeline::execute(const char* name, const PgParameterList& parameters) {
  const PgParameterList::Arrays arrays = parameters.arrays();
  if (!is_pooled_) {
    connection_->send_prepared(name, parameters.count(), arrays);
    return;
  }
  if (!is_sending_) connection_->send_text(settings_.c_str(), 0, {});
  is_sending_ = true;
  const auto statement = std::find_if(
      statements_.begin(), statements_.end(),
      [name](const PgStatement& candidate) { return std::string_view(candidate.name) == name; });
  CHECK(statement != statements_.end());
  connection_->send_text(statement->sql, parameters.count(), arrays);
}

void PgPipeline::sync() {
  is_sending_ = false;
  connection_->send_sync();
}

bool PgPipeline::takes(const PGresult* result) {
  if (!is_pooled_) return false;
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_PIPELINE_SYNC) {
    is_answering_ = false;
    return false;
  }
  const bool is_first = !is_answering_;
  is_answering_ = true;
  return is_first && status == PGRES_TUPLES_OK;
}

}  // namespace postback::store
