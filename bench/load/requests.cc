#include "load/requests.h"

#include <cstdio>

namespace postback::load {

Requests::Requests(const Options& options) : options_(options), repeat_distance_(kRepeatDistance) {
  // So that what is repeated is never a repeat itself.
  if (options.repeat_every != 0 && repeat_distance_ % options.repeat_every == 0) {
    ++repeat_distance_;
  }
  rest_of_head_ = " HTTP/1.1\r\nHost: " + options.host + "\r\nUser-Agent: offered_load\r\n";
  if (options.close) rest_of_head_ += "Connection: close\r\n";
}

uint64_t Requests::number_of(uint64_t index) const {
  const bool repeats = options_.repeat_every != 0 &&
                       index % options_.repeat_every == options_.repeat_every - 1 &&
                       index >= repeat_distance_;
  return repeats ? index - repeat_distance_ : index;
}

std::string Requests::id_of(uint64_t number) const {
  return options_.prefix + "-" + std::to_string(number);
}

void Requests::write(uint64_t number, std::string* bytes) const {
  const std::string& path = options_.paths[number % options_.paths.size()];
  const unsigned sale = static_cast<unsigned>(number % 10007);
  const unsigned earning = static_cast<unsigned>(number % 101);
  const unsigned sub = static_cast<unsigned>(number % 1000);
  char fields[512];
  const char* form =
      options_.post_json
          ? R"({"conversion_id":"%s","usd_sale_amount":%u.%02u,"usd_earning":%u.%02u,)"
            R"("sub_id":"sub%u","media_id":"media456","click_id":"click789",)"
            R"("offer_name":"Offer","conversion_datetime":"2025-01-15"})"
          : "?conversion_id=%s&usd_sale_amount=%u.%02u&usd_earning=%u.%02u&sub_id=sub%u"
            "&media_id=media456&click_id=click789&offer_name=Offer&conversion_datetime=2025-01-15";
  std::snprintf(fields, sizeof fields, form, id_of(number).c_str(), sale / 100, sale % 100,
                earning / 100, earning % 100, sub);
  bytes->assign(options_.post_json ? "POST " : "GET ").append(path);
  if (!options_.post_json) {
    bytes->append(fields).append(rest_of_head_).append("\r\n");
    return;
  }
  const std::string body = fields;
  bytes->append(rest_of_head_)
      .append("Content-Type: application/json\r\nContent-Length: ")
      .append(std::to_string(body.size()))
      .append("\r\n\r\n")
      .append(body);
}

}  // namespace postback::load
